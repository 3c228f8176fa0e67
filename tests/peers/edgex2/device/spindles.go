package main

import (
	"fmt"
	"math"
	"sync"

	sdk "github.com/edgexfoundry/device-sdk-go/v2/pkg/models"
	"github.com/edgexfoundry/go-mod-core-contracts/v2/clients/logger"
	"github.com/edgexfoundry/go-mod-core-contracts/v2/common"
	"github.com/edgexfoundry/go-mod-core-contracts/v2/models"
)

// A device has protocol "virtual": "Pictures" may name a folder whose JPEG files the camera plays in turn.
const (
	protocol = "virtual"
	pictures = "Pictures"
	samples  = 16
)

// spindles drives all devices; the n-th read of a resource gives the same value on every machine.
type spindles struct {
	log       logger.LoggingClient
	lock      sync.Mutex
	reads     uint64
	setpoints map[string]float32
}

func (s *spindles) Initialize(log logger.LoggingClient, _ chan<- *sdk.AsyncValues, _ chan<- []sdk.DiscoveredDevice) error {
	s.log = log
	return nil
}

func (s *spindles) HandleReadCommands(
	device string, protocols map[string]models.ProtocolProperties, requests []sdk.CommandRequest,
) ([]*sdk.CommandValue, error) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.reads++
	values := make([]*sdk.CommandValue, 0, len(requests))
	for _, request := range requests {
		kind, value, err := s.read(device, protocols, request.DeviceResourceName)
		if err != nil {
			return nil, err
		}
		made, err := sdk.NewCommandValue(request.DeviceResourceName, kind, value)
		if err != nil {
			return nil, err
		}
		values = append(values, made)
	}
	return values, nil
}

func (s *spindles) read(
	device string, protocols map[string]models.ProtocolProperties, resource string,
) (string, any, error) {
	switch resource {
	case "Vibration":
		return common.ValueTypeFloat32Array, vibration(s.reads), nil
	case "Temperature":
		return common.ValueTypeFloat32, 40 + float32(s.reads%20)/4, nil
	case "Setpoint":
		return common.ValueTypeFloat32, s.setpoints[device], nil
	case "Health":
		return common.ValueTypeObject, health(s.reads), nil
	case "Frame":
		picture, err := frame(protocols[protocol][pictures], s.reads)
		return common.ValueTypeBinary, picture, err
	}
	return "", nil, fmt.Errorf("a spindle has no %s", resource)
}

func vibration(read uint64) []float32 {
	values := make([]float32, samples)
	for i := range values {
		values[i] = float32(math.Sin(float64(read)/7 + float64(i)))
	}
	return values
}

func health(read uint64) map[string]any {
	return map[string]any{"Load": float64(read%8) / 4, "State": "cutting"}
}

func (s *spindles) HandleWriteCommands(
	device string, _ map[string]models.ProtocolProperties, requests []sdk.CommandRequest, params []*sdk.CommandValue,
) error {
	s.lock.Lock()
	defer s.lock.Unlock()
	for i, request := range requests {
		if request.DeviceResourceName != "Setpoint" {
			return fmt.Errorf("%s cannot be written", request.DeviceResourceName)
		}
		value, err := params[i].Float32Value()
		if err != nil {
			return err
		}
		s.setpoints[device] = value
	}
	return nil
}

func (s *spindles) ValidateDevice(device models.Device) error {
	if _, there := device.Protocols[protocol]; !there {
		return fmt.Errorf("protocol '%s' is missing", protocol)
	}
	return nil
}

func (s *spindles) AddDevice(device string, _ map[string]models.ProtocolProperties, state models.AdminState) error {
	s.log.Infof("added %s, %s", device, state)
	return nil
}

func (s *spindles) UpdateDevice(device string, _ map[string]models.ProtocolProperties, state models.AdminState) error {
	s.log.Infof("updated %s, %s", device, state)
	return nil
}

func (s *spindles) RemoveDevice(device string, _ map[string]models.ProtocolProperties) error {
	s.log.Infof("removed %s", device)
	return nil
}

func (s *spindles) Stop(bool) error { return nil }
