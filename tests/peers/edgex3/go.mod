module edgex-inference/peers/edgex3

go 1.21

require (
	github.com/edgexfoundry/go-mod-core-contracts/v3 v3.1.0
	github.com/edgexfoundry/go-mod-messaging/v3 v3.1.0
	github.com/fxamacker/cbor/v2 v2.5.0
)

require (
	github.com/gabriel-vasile/mimetype v1.4.2 // indirect
	github.com/go-playground/locales v0.14.1 // indirect
	github.com/go-playground/universal-translator v0.18.1 // indirect
	github.com/go-playground/validator/v10 v10.15.5 // indirect
	github.com/google/uuid v1.3.1 // indirect
	github.com/leodido/go-urn v1.2.4 // indirect
	github.com/x448/float16 v0.8.4 // indirect
	golang.org/x/crypto v0.14.0 // indirect
	golang.org/x/net v0.17.0 // indirect
	golang.org/x/sys v0.13.0 // indirect
	golang.org/x/text v0.13.0 // indirect
)
