package main

import (
	"context"
	"errors"
	"os"

	"github.com/cloudblue-go/cloudblue/commerce/ordermanager"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/journal"
)

func afterMaintenance(ctx context.Context) error {
	orders, err := ordermanager.New("https://mn.example.net:6308", ordermanager.Token(os.Getenv("COMMERCE_TOKEN")))
	if err != nil {
		return err
	}
	vendors, err := connect.New("", connect.APIKey(os.Getenv("CONNECT_API_KEY"))) // "": the public Connect
	if err != nil {
		return err
	}
	windows, err := maintenance.LoadCalendarFile("windows.json")
	if err != nil {
		return err
	}
	file, err := journal.Open("commerce.journal") // one for this Commerce, whatever plan
	if err != nil {
		return err
	}
	systems := resubmit.SystemsOf(orders, orders)
	systems.Requests, systems.Prober = vendors, vendors
	return errors.Join(resubmitFailed(ctx, systems, file, windows), file.Close())
}
