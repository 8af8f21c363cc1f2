package main

import (
	"fmt"
	"sync"
	"time"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
)

// job is what a contender gets on its standard input.
type job struct {
	Orders     string             `json:"orders"`  // the URL of the orders in Order Management
	Token      string             `json:"token"`   // its token
	Commerce   string             `json:"base"`    // the base URL of Order Management
	Billing    string             `json:"billing"` // the base URL of Billing
	IDs        []string           `json:"ids"`     // the orders that failed, for Billing, which cannot list
	Export     string             `json:"export"`  // the same as the panel exports them, with their subscriptions
	Connect    string             `json:"connect"`
	ConnectKey string             `json:"connectKey"`
	Threads    int                `json:"threads"`
	Rate       float64            `json:"rate"`  // the rate limit; -1 for none
	State      string             `json:"state"` // a directory that survives a kill
	Window     maintenance.Window `json:"window"`
}

// How the scripts go on after an error.
const (
	tries       = 3
	retryAfter  = time.Second
	longestWait = time.Minute // for orders to be completed
	between     = 500 * time.Millisecond
)

// each calls f for the values, in a number of goroutines, and returns those for which it returned false.
func each[T any](values []T, workers int, f func(worker int, value T) bool) (left []T) {
	queue := make(chan T, len(values))
	for _, v := range values {
		queue <- v
	}
	close(queue)
	var mu sync.Mutex
	var all sync.WaitGroup
	for worker := range workers {
		all.Go(func() {
			for v := range queue {
				if !f(worker, v) {
					mu.Lock()
					left = append(left, v)
					mu.Unlock()
				}
			}
		})
	}
	all.Wait()
	return left
}

// say says how many orders are not completed, as far as the program knows.
func say(left int) { fmt.Printf("{\"left\": %d}\n", left) }

// readBack reads orders until all are completed, or for a minute, and says how many are not.
func readBack[T any](orders []T, workers int, completed func(worker int, order T) bool) {
	end := time.Now().Add(longestWait)
	for len(orders) > 0 && time.Now().Before(end) {
		if orders = each(orders, workers, completed); len(orders) > 0 {
			<-time.After(between)
		}
	}
	say(len(orders))
}
