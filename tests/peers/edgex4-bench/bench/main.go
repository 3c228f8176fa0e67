// app-bench is what a Go developer would write by hand on EdgeX 4's official application SDK: sixteen readings through
// an auto-encoder on ONNX Runtime, an event of three readings out. The speed benchmark measures our service against it.
//
// Environment: BENCH_MODEL is the ONNX file, BENCH_ONNXRUNTIME the shared library of ONNX Runtime.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/edgexfoundry/app-functions-sdk-go/v4/pkg"
	"github.com/edgexfoundry/app-functions-sdk-go/v4/pkg/interfaces"
	"github.com/edgexfoundry/go-mod-core-contracts/v4/common"
	"github.com/edgexfoundry/go-mod-core-contracts/v4/dtos"
	"github.com/edgexfoundry/go-mod-core-contracts/v4/dtos/requests"
	ort "github.com/yalue/onnxruntime_go"
)

const (
	values = 16
	limit  = 30
)

// model is one session with its tensors, used by one event at a time: a run takes a few microseconds.
type model struct {
	lock    sync.Mutex
	session *ort.AdvancedSession
	x, y    *ort.Tensor[float32]
	places  map[string]int
}

func main() {
	service, ok := pkg.NewAppService("app-bench")
	if !ok {
		os.Exit(1)
	}
	loaded, err := load(os.Getenv("BENCH_ONNXRUNTIME"), os.Getenv("BENCH_MODEL"))
	if err == nil {
		err = service.SetDefaultFunctionsPipeline(loaded.answer)
	}
	if err == nil {
		err = service.Run()
	}
	if err != nil {
		service.LoggingClient().Error(err.Error())
		os.Exit(1)
	}
}

func load(library, file string) (*model, error) {
	ort.SetSharedLibraryPath(library)
	if err := ort.InitializeEnvironment(); err != nil {
		return nil, err
	}
	x, err := ort.NewEmptyTensor[float32](ort.NewShape(1, values))
	if err != nil {
		return nil, err
	}
	y, err := ort.NewEmptyTensor[float32](ort.NewShape(1, values))
	if err != nil {
		return nil, err
	}
	options, err := ort.NewSessionOptions()
	if err != nil {
		return nil, err
	}
	defer options.Destroy()
	if err := options.SetIntraOpNumThreads(1); err != nil {
		return nil, err
	}
	session, err := ort.NewAdvancedSession(
		file, []string{"x"}, []string{"y"}, []ort.Value{x}, []ort.Value{y}, options)
	if err != nil {
		return nil, err
	}
	places := make(map[string]int, values)
	for place := 0; place < values; place++ {
		places[fmt.Sprintf("R%d", place)] = place
	}
	return &model{session: session, x: x, y: y, places: places}, nil
}

func (m *model) answer(context interfaces.AppFunctionContext, data any) (bool, any) {
	began := time.Now()
	event, ok := data.(dtos.Event)
	if !ok {
		return false, fmt.Errorf("%T is no event", data)
	}
	score, err := m.score(event)
	if err != nil {
		return false, err
	}
	result := dtos.NewEvent(event.ProfileName+"-inference", event.DeviceName, "Health")
	result.Origin = event.Origin
	took := float32(time.Since(began).Seconds() * 1e3)
	for _, one := range []struct {
		name, kind string
		value      any
	}{
		{"Score", common.ValueTypeFloat32, score},
		{"IsAnomaly", common.ValueTypeBool, score > limit},
		{"Took", common.ValueTypeFloat32, took},
	} {
		if err := result.AddSimpleReading(one.name, one.kind, one.value); err != nil {
			return false, err
		}
	}
	raw, err := json.Marshal(requests.NewAddEventRequest(result))
	if err != nil {
		return false, err
	}
	context.SetResponseData(raw)
	return true, nil
}

// score is the mean square error of the reconstruction.
func (m *model) score(event dtos.Event) (float32, error) {
	m.lock.Lock()
	defer m.lock.Unlock()
	x := m.x.GetData()
	for _, reading := range event.Readings {
		place, ok := m.places[reading.ResourceName]
		if !ok {
			continue
		}
		value, err := strconv.ParseFloat(reading.Value, 32)
		if err != nil {
			return 0, err
		}
		x[place] = float32(value)
	}
	if err := m.session.Run(); err != nil {
		return 0, err
	}
	var sum float32
	for place, y := range m.y.GetData() {
		difference := x[place] - y
		sum += difference * difference
	}
	return sum / values, nil
}
