package main

import (
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	"os"
	"path/filepath"
	"sort"
)

const (
	width  = 96
	height = 64
)

// frame is the next JPEG of the folder, or without a folder a bright square wandering over a gray ramp.
func frame(folder string, read uint64) ([]byte, error) {
	if folder == "" {
		return drawn(read)
	}
	files, err := filepath.Glob(filepath.Join(folder, "*.jpg"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, &os.PathError{Op: "no .jpg in", Path: folder, Err: os.ErrNotExist}
	}
	sort.Strings(files)
	return os.ReadFile(files[read%uint64(len(files))])
}

func drawn(read uint64) ([]byte, error) {
	picture := image.NewGray(image.Rect(0, 0, width, height))
	left, top := int(read*3%(width-16)), int(read%(height-16))
	for y := 0; y < height; y++ {
		for x := 0; x < width; x++ {
			light := uint8(x)
			if x >= left && x < left+16 && y >= top && y < top+16 {
				light = 230
			}
			picture.SetGray(x, y, color.Gray{Y: light})
		}
	}
	var data bytes.Buffer
	err := jpeg.Encode(&data, picture, nil)
	return data.Bytes(), err
}
