// Golden writes messages made by EdgeX 2.1's own libraries, one JSON object a line: {"name", "topic", "payload": base64
// of the bus message's bytes, "event": the event as Go writes it}.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strings"

	"github.com/edgexfoundry/go-mod-core-contracts/v2/common"
	"github.com/edgexfoundry/go-mod-core-contracts/v2/dtos"
	"github.com/edgexfoundry/go-mod-core-contracts/v2/dtos/requests"
	"github.com/edgexfoundry/go-mod-messaging/v2/pkg/types"
)

const origin = 1795418138745047301

var output = json.NewEncoder(os.Stdout)

func main() {
	simple, binary := simpleEvent(), binaryEvent()
	write("base64", simple, nil)
	write("cbor payload", simple, []string{"EDGEX_ENCODE_ALL_EVENTS_CBOR"})
	write("binary", binary, nil)
	writeBare("bare", simple)
}

func simpleEvent() dtos.Event {
	event := dtos.NewEvent("press", "press-7", "all")
	add := func(name string, valueType string, value any) {
		if err := event.AddSimpleReading(name, valueType, value); err != nil {
			panic(err)
		}
	}
	add("Bool", common.ValueTypeBool, true)
	add("String", common.ValueTypeString, "a <b> & \"c\" \u00fc \u2028")
	add("Uint8", common.ValueTypeUint8, uint8(255))
	add("Uint16", common.ValueTypeUint16, uint16(65535))
	add("Uint32", common.ValueTypeUint32, uint32(4294967295))
	add("Uint64", common.ValueTypeUint64, uint64(math.MaxUint64))
	add("Int8", common.ValueTypeInt8, int8(-128))
	add("Int16", common.ValueTypeInt16, int16(-32768))
	add("Int32", common.ValueTypeInt32, int32(-2147483648))
	add("Int64", common.ValueTypeInt64, int64(math.MinInt64))
	add("Float32", common.ValueTypeFloat32, float32(0.12345679))
	add("Float64", common.ValueTypeFloat64, 10.0/3)
	add("BoolArray", common.ValueTypeBoolArray, []bool{true, false})
	add("StringArray", common.ValueTypeStringArray, []string{"a b", "c,d", "<"})
	add("Uint8Array", common.ValueTypeUint8Array, []uint8{0, 255})
	add("Uint16Array", common.ValueTypeUint16Array, []uint16{0, 65535})
	add("Uint32Array", common.ValueTypeUint32Array, []uint32{0, 4294967295})
	add("Uint64Array", common.ValueTypeUint64Array, []uint64{0, math.MaxUint64})
	add("Int8Array", common.ValueTypeInt8Array, []int8{-128, 127})
	add("Int16Array", common.ValueTypeInt16Array, []int16{-32768, 32767})
	add("Int32Array", common.ValueTypeInt32Array, []int32{-1, 1})
	add("Int64Array", common.ValueTypeInt64Array, []int64{math.MinInt64, math.MaxInt64})
	add("Float32Array", common.ValueTypeFloat32Array, []float32{0.1, -2.5, 3})
	add("Float64Array", common.ValueTypeFloat64Array, []float64{0.1, 1e300})
	event.AddObjectReading("Object", map[string]any{"scores": []any{0.1, 1e-9, "ok", nil, true}})
	event.Tags = map[string]interface{}{"line": "A"}
	return settled(event)
}

func binaryEvent() dtos.Event {
	event := dtos.NewEvent("usb-camera", "cam-01", "Frame")
	event.AddBinaryReading("Frame", []byte{0xff, 0xd8, 0xff, 0x00}, "image/jpeg")
	return settled(event)
}

// settled replaces what is random, so that the same bytes come out every time.
func settled(event dtos.Event) dtos.Event {
	event.Id, event.Origin = "6f0e9a1e-0a44-4a1e-9f6b-1b1a44d5b6de", origin
	for i := range event.Readings {
		event.Readings[i].Id = fmt.Sprintf("6f0e9a1e-0a44-4a1e-9f6b-%012d", i)
		event.Readings[i].Origin = origin + int64(i)
	}
	return event
}

func request(event dtos.Event) requests.AddEventRequest {
	made := requests.NewAddEventRequest(event)
	made.RequestId = "0f2e9c52-9c67-4a0c-8a3e-6d0b6a1f7c11"
	return made
}

func write(name string, event dtos.Event, switches []string) {
	for _, variable := range switches {
		_ = os.Setenv(variable, "true")
		defer os.Unsetenv(variable)
	}
	made := request(event)
	topic := strings.Join([]string{"edgex/events/device", event.ProfileName, event.DeviceName, event.SourceName}, "/")
	data, contentType, err := made.Encode()
	emit(name, topic, event, data, contentType, err)
}

func writeBare(name string, event dtos.Event) {
	data, err := json.Marshal(event)
	emit(name, "edgex/rules-events", event, data, common.ContentTypeJSON, err)
}

func emit(name, topic string, event dtos.Event, body []byte, contentType string, err error) {
	if err != nil {
		panic(err)
	}
	plain, err := json.Marshal(event)
	if err != nil {
		panic(err)
	}
	ctx := context.WithValue(context.Background(), common.CorrelationHeader, "14a42ea6-c394-41c3-8bcd-a29b9f5e6835")
	ctx = context.WithValue(ctx, common.ContentType, contentType)
	data, err := json.Marshal(types.NewMessageEnvelope(body, ctx))
	if err != nil {
		panic(err)
	}
	_ = output.Encode(map[string]any{"name": name, "topic": topic, "payload": data, "event": json.RawMessage(plain)})
}
