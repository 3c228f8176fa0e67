// device-spindle is an EdgeX 3 device service on the official SDK: a virtual machine spindle with a camera.
// Everything but what it measures is EdgeX's own code. Its working folder holds res/ as any device service's does.
package main

import (
	"github.com/edgexfoundry/device-sdk-go/v3/pkg/startup"
)

func main() {
	startup.Bootstrap("device-spindle", "1.0.0", &spindles{setpoints: map[string]float32{}})
}
