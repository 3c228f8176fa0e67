// Judge says what EdgeX 4's own libraries think of messages.
//
// One JSON object a line on standard input: {"topic", "payload": base64 of the bus message's bytes, "bare": true for
// a bare event, "kind": what else it is, "env": EdgeX switches of the consumer}; or {"kind", "document": a REST
// request}; or an AddEventRequest as it is. Kinds are those of document in documents.go. One verdict a line on
// standard output: {"ok", "error", "event": the event as Go understood it}.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/edgexfoundry/go-mod-core-contracts/v4/dtos"
	"github.com/edgexfoundry/go-mod-core-contracts/v4/dtos/requests"
	"github.com/edgexfoundry/go-mod-messaging/v4/messaging/envelope"
	"github.com/edgexfoundry/go-mod-messaging/v4/pkg/types"
)

type line struct {
	Topic    string            `json:"topic"`
	Payload  []byte            `json:"payload"`
	Bare     bool              `json:"bare"`
	Env      map[string]string `json:"env"`
	Event    json.RawMessage   `json:"event"`
	Kind     string            `json:"kind"`
	Document json.RawMessage   `json:"document"`
}

type verdict struct {
	Ok    bool            `json:"ok"`
	Error string          `json:"error"`
	Event json.RawMessage `json:"event,omitempty"`
}

func main() {
	input := bufio.NewReaderSize(os.Stdin, 1<<20)
	output := json.NewEncoder(os.Stdout)
	for {
		text, err := input.ReadBytes('\n')
		if len(strings.TrimSpace(string(text))) > 0 {
			_ = output.Encode(judge(text))
		}
		if err != nil {
			return
		}
	}
}

func judge(text []byte) (result verdict) {
	defer func() {
		if fault := recover(); fault != nil {
			result = verdict{Error: fmt.Sprintf("panic: %v", fault)}
		}
	}()
	var given line
	if err := json.Unmarshal(text, &given); err != nil {
		return verdict{Error: "line: " + err.Error()}
	}
	for name, value := range given.Env {
		_ = os.Setenv(name, value)
		defer os.Unsetenv(name)
	}
	if given.Kind != "" {
		return judgeDocument(given)
	}
	request, err := decode(given, text)
	if err != nil {
		return verdict{Error: err.Error()}
	}
	if err := request.Validate(); err != nil {
		return verdict{Error: err.Error()}
	}
	if err := matches(given, request.Event); err != nil {
		return verdict{Error: err.Error()}
	}
	for name := range given.Env {
		_ = os.Unsetenv(name)
	}
	event, err := json.Marshal(request.Event)
	if err != nil {
		return verdict{Error: "event cannot be written again: " + err.Error()}
	}
	return verdict{Ok: true, Event: event}
}

func judgeDocument(given line) verdict {
	data, err := content(given)
	if err == nil {
		err = document(given.Kind, data)
	}
	if err == nil && given.Kind == "metric" {
		err = underItsName(given.Topic, data)
	}
	if err != nil {
		return verdict{Error: err.Error()}
	}
	return verdict{Ok: true, Event: data}
}

func content(given line) ([]byte, error) {
	if given.Document != nil {
		return given.Document, nil
	}
	var message types.MessageEnvelope
	if err := envelope.Unmarshal(given.Payload, &message); err != nil {
		return nil, err
	}
	payload, err := types.GetMsgPayload[map[string]any](message)
	if err != nil {
		return nil, err
	}
	return json.Marshal(payload)
}

func decode(given line, text []byte) (requests.AddEventRequest, error) {
	var request requests.AddEventRequest
	if given.Event != nil {
		err := json.Unmarshal(text, &request)
		return request, err
	}
	var message types.MessageEnvelope
	if err := envelope.Unmarshal(given.Payload, &message); err != nil {
		return request, err
	}
	if message.ContentType == "" {
		return request, fmt.Errorf("contentType is empty")
	}
	if given.Bare {
		event, err := types.GetMsgPayload[dtos.Event](message)
		return requests.NewAddEventRequest(event), err
	}
	return types.GetMsgPayload[requests.AddEventRequest](message)
}

// matches makes the check of core-data: the last three levels are the event's names.
func matches(given line, event dtos.Event) error {
	if given.Topic == "" || given.Bare {
		return nil
	}
	levels := strings.Split(given.Topic, "/")
	if len(levels) < 6 {
		return fmt.Errorf("topic %s has less than 6 levels", given.Topic)
	}
	names := []string{event.ProfileName, event.DeviceName, event.SourceName}
	for i, level := range levels[len(levels)-3:] {
		name, err := url.PathUnescape(level)
		if err != nil {
			return err
		}
		if name != names[i] {
			return fmt.Errorf("topic level %s is not the event's %s", level, names[i])
		}
	}
	return nil
}
