module edgex-inference/peers/edgex20

go 1.18

require (
	github.com/edgexfoundry/go-mod-core-contracts/v2 v2.0.0
	github.com/edgexfoundry/go-mod-messaging/v2 v2.0.0
)

require (
	github.com/fxamacker/cbor/v2 v2.2.0 // indirect
	github.com/go-playground/locales v0.13.0 // indirect
	github.com/go-playground/universal-translator v0.17.0 // indirect
	github.com/go-playground/validator/v10 v10.6.1 // indirect
	github.com/google/uuid v1.2.0 // indirect
	github.com/leodido/go-urn v1.2.0 // indirect
	github.com/x448/float16 v0.8.4 // indirect
	golang.org/x/crypto v0.0.0-20200622213623-75b288015ac9 // indirect
	golang.org/x/sys v0.0.0-20191010194322-b09406accb47 // indirect
	golang.org/x/text v0.3.2 // indirect
)
