// provider speaks to a Consul with EdgeX 3's own clients: a command a line on standard input, an answer a line.
// Everything but the line protocol is EdgeX's own code.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/edgexfoundry/go-mod-configuration/v3/configuration"
	conf "github.com/edgexfoundry/go-mod-configuration/v3/pkg/types"
	reg "github.com/edgexfoundry/go-mod-registry/v3/pkg/types"
	"github.com/edgexfoundry/go-mod-registry/v3/registry"
)

type writable struct {
	LogLevel string
}

type answer struct {
	Ok    bool   `json:"ok"`
	Error string `json:"error"`
	Value any    `json:"value"`
}

func say(value any, err error) {
	told := answer{Ok: err == nil, Value: value}
	if err != nil {
		told.Error = err.Error()
	}
	line, _ := json.Marshal(told)
	fmt.Println(string(line))
}

// provider PORT BASE-PATH [TOKEN]
func main() {
	port, _ := strconv.Atoi(os.Args[1])
	token := ""
	if len(os.Args) > 3 {
		token = os.Args[3]
	}
	client, err := configuration.NewConfigurationClient(conf.ServiceConfig{
		Host: "127.0.0.1", Port: port, Type: "consul", BasePath: os.Args[2], AccessToken: token,
	})
	if err != nil {
		say(nil, err)
		os.Exit(1)
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		serve(client, port, token, words)
	}
}

func serve(client configuration.Client, port int, token string, words []string) {
	switch words[0] {
	case "alive":
		say(client.IsAlive(), nil)
	case "has":
		say(client.HasConfiguration())
	case "keys":
		say(client.GetConfigurationKeys(""))
	case "get":
		value, err := client.GetConfigurationValue(words[1])
		say(string(value), err)
	case "put":
		say(nil, client.PutConfigurationMap(map[string]any{words[1]: map[string]any{words[2]: words[3]}}, true))
	case "watch":
		updates, errors := make(chan interface{}), make(chan error)
		client.WatchForChanges(updates, errors, &writable{}, "Writable")
		go func() {
			for {
				select {
				case update := <-updates:
					say(update, nil)
				case err := <-errors:
					say(nil, err)
				}
			}
		}()
	case "register", "unregister", "available", "endpoint":
		service := reg.Config{
			Host: "127.0.0.1", Port: port, Type: "consul", AccessToken: token, ServiceKey: words[1],
			ServiceHost: "127.0.0.1", CheckRoute: "/api/v3/ping", CheckInterval: "50ms",
		}
		if len(words) > 2 {
			service.ServicePort, _ = strconv.Atoi(words[2])
		}
		peers, err := registry.NewRegistryClient(service)
		if err != nil {
			say(nil, err)
			return
		}
		switch words[0] {
		case "register":
			say(nil, peers.Register())
		case "unregister":
			say(nil, peers.Unregister())
		case "available":
			say(peers.IsServiceAvailable(words[1]))
		case "endpoint":
			say(peers.GetServiceEndpoint(words[1]))
		}
	}
}
