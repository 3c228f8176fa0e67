"""The bus on an MQTT broker, with two clients to choose from: our own, and paho's."""
