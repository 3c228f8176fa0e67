// app-audience is an EdgeX 2 application service on the official SDK that prints the events it receives, one JSON
// object a line on standard output: {"topic", "correlation", "contentType", "event"}, or {"error"} for what is none.
// Its working folder holds res/ as any application service's does.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"sync"

	"github.com/edgexfoundry/app-functions-sdk-go/v2/pkg"
	"github.com/edgexfoundry/app-functions-sdk-go/v2/pkg/interfaces"
	"github.com/edgexfoundry/go-mod-core-contracts/v2/dtos"
)

var (
	lock   sync.Mutex
	output = json.NewEncoder(os.Stdout)
)

func main() {
	service, ok := pkg.NewAppService("app-audience")
	if !ok {
		os.Exit(1)
	}
	if err := service.SetDefaultFunctionsPipeline(tell); err != nil {
		service.LoggingClient().Error(err.Error())
		os.Exit(1)
	}
	if err := service.MakeItRun(); err != nil {
		service.LoggingClient().Error(err.Error())
		os.Exit(1)
	}
}

func tell(context interfaces.AppFunctionContext, data any) (bool, any) {
	lock.Lock()
	defer lock.Unlock()
	event, ok := data.(dtos.Event)
	if !ok {
		_ = output.Encode(map[string]any{"error": fmt.Sprintf("%T is no event", data)})
		return false, nil
	}
	topic, _ := context.GetValue(interfaces.RECEIVEDTOPIC)
	_ = output.Encode(map[string]any{
		"topic": topic, "correlation": context.CorrelationID(), "contentType": context.InputContentType(), "event": event,
	})
	return false, nil
}
