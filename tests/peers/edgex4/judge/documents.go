package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/edgexfoundry/go-mod-core-contracts/v4/common"
	"github.com/edgexfoundry/go-mod-core-contracts/v4/dtos"
	"github.com/edgexfoundry/go-mod-core-contracts/v4/dtos/requests"
)

// document judges what is no event. EdgeX checks system events nowhere, so theirs are the fields its consumers need.
func document(kind string, data []byte) error {
	switch kind {
	case "profile":
		return validated(data, &requests.DeviceProfileRequest{})
	case "device":
		return validated(data, &requests.AddDeviceRequest{})
	case "deviceService":
		return validated(data, &requests.AddDeviceServiceRequest{})
	case "notification":
		return validated(data, &requests.AddNotificationRequest{})
	case "metric":
		return metric(data)
	case "systemEvent":
		return systemEvent(data)
	}
	return fmt.Errorf("nobody judges a %s", kind)
}

type request interface{ Validate() error }

func validated(data []byte, into request) error {
	if err := json.Unmarshal(data, into); err != nil {
		return err
	}
	return into.Validate()
}

func metric(data []byte) error {
	var found dtos.Metric
	if err := json.Unmarshal(data, &found); err != nil {
		return err
	}
	if found.ApiVersion != common.ApiVersion {
		return fmt.Errorf("apiVersion is %q", found.ApiVersion)
	}
	if err := common.Validate(found); err != nil {
		return err
	}
	for _, tag := range found.Tags {
		if err := common.Validate(tag); err != nil {
			return err
		}
	}
	_, err := dtos.NewMetric(found.Name, found.Fields, found.Tags)
	return err
}

// underItsName checks that a metric came on the topic that the SDKs publish it under.
func underItsName(topic string, data []byte) error {
	var found dtos.Metric
	levels := strings.Split(topic, "/")
	if err := json.Unmarshal(data, &found); err != nil || topic == "" {
		return err
	}
	if len(levels) != 4 || levels[1] != "telemetry" || levels[3] != found.Name {
		return fmt.Errorf("topic %s is not that of metric %s", topic, found.Name)
	}
	return nil
}

func systemEvent(data []byte) error {
	var found dtos.SystemEvent
	if err := json.Unmarshal(data, &found); err != nil {
		return err
	}
	if found.ApiVersion != common.ApiVersion {
		return fmt.Errorf("apiVersion is %q", found.ApiVersion)
	}
	if found.Type == "" || found.Action == "" || found.Source == "" || found.Owner == "" || found.Timestamp <= 0 {
		return fmt.Errorf("type, action, source, owner or timestamp is missing")
	}
	if found.Type == common.DeviceSystemEventType {
		return found.DecodeDetails(&dtos.Device{})
	}
	return nil
}
