module github.com/cloudblue-go/cloudblue/examples/consumer

go 1.26.0

require github.com/cloudblue-go/cloudblue v0.0.0

require (
	github.com/cenkalti/backoff/v5 v5.0.3 // indirect
	github.com/google/go-querystring v1.2.0 // indirect
	github.com/shopspring/decimal v1.6.0 // indirect
	golang.org/x/sync v0.24.0 // indirect
	golang.org/x/text v0.41.0 // indirect
)

replace github.com/cloudblue-go/cloudblue => ../..
