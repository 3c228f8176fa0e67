// Golden writes messages made by EdgeX 4's own libraries, one JSON object a line: {"name", "topic", "payload": base64
// of the bus message's bytes, "headers" on NATS, "event": the event as Go writes it}; with the argument "floats",
// float texts instead: {"type", "bits", "text"}.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand"
	"os"

	"github.com/edgexfoundry/go-mod-core-contracts/v4/common"
	"github.com/edgexfoundry/go-mod-core-contracts/v4/dtos"
	"github.com/edgexfoundry/go-mod-core-contracts/v4/dtos/requests"
	"github.com/edgexfoundry/go-mod-messaging/v4/messaging/envelope"
	"github.com/edgexfoundry/go-mod-messaging/v4/pkg/types"
)

const origin = 1795418138745047301

var output = json.NewEncoder(os.Stdout)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "floats" {
		floats()
		return
	}
	simple, binary := simpleEvent(), binaryEvent()
	write("raw", simple, nil)
	write("base64", simple, []string{"EDGEX_MSG_BASE64_PAYLOAD"})
	write("cbor payload", simple, []string{"EDGEX_ENCODE_ALL_EVENTS_CBOR"})
	write("cbor envelope", simple, []string{"EDGEX_MSG_CBOR_ENCODE"})
	write("optimized", simple, []string{"EDGEX_OPTIMIZE_EVENT_PAYLOAD"})
	write("optimized single", single(), []string{"EDGEX_OPTIMIZE_EVENT_PAYLOAD"})
	write("optimized cbor", single(), []string{"EDGEX_OPTIMIZE_EVENT_PAYLOAD", "EDGEX_ENCODE_ALL_EVENTS_CBOR"})
	write("binary", binary, nil)
	write("binary cbor envelope", binary, []string{"EDGEX_MSG_CBOR_ENCODE"})
	write("escaped", escapedEvent(), nil)
	writeBare("bare", simple, nil)
	writeBare("bare base64", simple, []string{"EDGEX_MSG_BASE64_PAYLOAD"})
	writeNats("nats", simple)
	writeNats("nats binary", binary)
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
	array := dtos.NewObjectReadingWithArray("press", "press-7", "ObjectArray", []any{map[string]any{"box": []int{1, 2}}})
	event.Readings = append(event.Readings, array)
	event.AddNullReading("Null", common.ValueTypeInt32)
	event.Readings[0].Units = "none"
	event.Tags = dtos.Tags{"line": "A"}
	return settled(event)
}

func binaryEvent() dtos.Event {
	event := dtos.NewEvent("usb-camera", "cam-01", "Frame")
	event.AddBinaryReading("Frame", []byte{0xff, 0xd8, 0xff, 0x00}, "image/jpeg")
	return settled(event)
}

func single() dtos.Event {
	event := dtos.NewEvent("press", "press-7", "rms")
	_ = event.AddSimpleReading("rms", common.ValueTypeFloat32, float32(1.5))
	return settled(event)
}

func escapedEvent() dtos.Event {
	event := dtos.NewEvent("press model.1", "line/7 #2 !'()*$&=:@;,?%", "r\u00e4t+e~_-")
	_ = event.AddSimpleReading("rms", common.ValueTypeFloat32, float32(1.5))
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
	made := request(event)
	topic := common.NewPathBuilder().EnableNameFieldEscape(name == "escaped").SetPath("edgex/events/device").
		SetNameFieldPath("device-virtual").SetNameFieldPath(event.ProfileName).
		SetNameFieldPath(event.DeviceName).SetNameFieldPath(event.SourceName).BuildPath()
	emit(name, topic, event, switches, func() (any, string) { return made, made.GetEncodingContentType() })
}

func writeBare(name string, event dtos.Event, switches []string) {
	emit(name, "edgex/rules-events", event, switches, func() (any, string) { return event, common.ContentTypeJSON })
}

func emit(name, topic string, event dtos.Event, switches []string, payload func() (any, string)) {
	plain, err := json.Marshal(event)
	if err != nil {
		panic(err)
	}
	for _, variable := range switches {
		_ = os.Setenv(variable, "true")
		defer os.Unsetenv(variable)
	}
	body, contentType := payload()
	ctx := context.WithValue(context.Background(), common.CorrelationHeader, "14a42ea6-c394-41c3-8bcd-a29b9f5e6835")
	ctx = context.WithValue(ctx, common.ContentType, contentType)
	data, err := envelope.Marshal(types.NewMessageEnvelope(body, ctx))
	if err != nil {
		panic(err)
	}
	_ = output.Encode(map[string]any{"name": name, "topic": topic, "payload": data, "event": json.RawMessage(plain)})
}

func writeNats(name string, event dtos.Event) {
	made := request(event)
	data, contentType, err := made.Encode()
	if err != nil {
		panic(err)
	}
	plain, _ := json.Marshal(event)
	headers := map[string]string{"ApiVersion": "v3", "Content-Type": contentType, "ErrorCode": "0", "RequestId": "",
		"X-Correlation-ID": "14a42ea6-c394-41c3-8bcd-a29b9f5e6835"}
	topic := common.BuildTopic("edgex/events/device/device-virtual", event.ProfileName, event.DeviceName, event.SourceName)
	_ = output.Encode(map[string]any{"name": name, "topic": topic, "payload": data, "headers": headers,
		"event": json.RawMessage(plain)})
}

func floats() {
	random := rand.New(rand.NewSource(1))
	narrow := []uint32{0, 1 << 31, 1, 0x7f7fffff, 0x00800000, 0x3f800000, 0x4b800000, 0x7fc00000, 0x7f800000, 0xff800000}
	wide := []uint64{0, 1 << 63, 1, 0x7fefffffffffffff, 0x0010000000000000, 0x3ff0000000000000, 0x7ff8000000000001,
		0x7ff0000000000000, 0xfff0000000000000}
	for i := uint32(1); i < 255; i += 12 {
		narrow = append(narrow, i<<23) // powers of two have uneven neighbours
	}
	for i := 0; i < 60; i++ {
		narrow, wide = append(narrow, random.Uint32()), append(wide, random.Uint64())
	}
	for _, bits := range narrow {
		floatText(common.ValueTypeFloat32, uint64(bits), math.Float32frombits(bits))
	}
	for _, bits := range wide {
		floatText(common.ValueTypeFloat64, bits, math.Float64frombits(bits))
	}
}

func floatText(valueType string, bits uint64, value any) {
	reading, err := dtos.NewSimpleReading("p", "d", "r", valueType, value)
	if err != nil {
		panic(err)
	}
	_ = output.Encode(map[string]any{"type": valueType, "bits": fmt.Sprint(bits), "text": reading.Value})
}
