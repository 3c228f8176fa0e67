module edgex-inference/peers/edgex22

go 1.18

require (
	github.com/edgexfoundry/go-mod-core-contracts/v2 v2.2.0
	github.com/edgexfoundry/go-mod-messaging/v2 v2.2.0
)

require (
	github.com/fxamacker/cbor/v2 v2.4.0 // indirect
	github.com/go-playground/locales v0.14.0 // indirect
	github.com/go-playground/universal-translator v0.18.0 // indirect
	github.com/go-playground/validator/v10 v10.10.1 // indirect
	github.com/google/uuid v1.3.0 // indirect
	github.com/leodido/go-urn v1.2.1 // indirect
	github.com/x448/float16 v0.8.4 // indirect
	golang.org/x/crypto v0.0.0-20211215153901-e495a2d5b3d3 // indirect
	golang.org/x/sys v0.0.0-20210917161153-d61c044b1678 // indirect
	golang.org/x/text v0.3.7 // indirect
)
