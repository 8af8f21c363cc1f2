package main

import (
	"context"
	"crypto/md5" //nolint:gosec // the signature of Billing
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/kolo/xmlrpc"

	"github.com/cloudblue-go/cloudblue/internal/number"
)

// The columns of an order in Billing.
const (
	columnID, columnNumber, columnStatus      = 0, 1, 4
	columnCreated, columnTotal, columnComment = 6, 8, 12
	columnCurrency                            = 17
)

// koloClient resubmits the failed orders of a file by Billing with kolo/xmlrpc, as scripts/xmlrpc_client.py does.
type koloClient struct {
	clients []*xmlrpc.Client // one for each worker
}

func runKolo(_ context.Context, j *job) error {
	var k koloClient
	for range j.Threads {
		c, err := xmlrpc.NewClient(j.Billing+"/RPC2", nil)
		if err != nil {
			return err
		}
		k.clients = append(k.clients, c)
	}
	each(j.IDs, j.Threads, func(worker int, id string) bool {
		if row := k.order(worker, id); row != nil && row[columnStatus] == "PF" {
			k.call(worker, "OrderStatusChange_API", row[columnID], "PD", signature(row))
		}
		return true
	})
	readBack(j.IDs, j.Threads, func(worker int, id string) bool {
		row := k.order(worker, id)
		return row != nil && row[columnStatus] == "CP"
	})
	return nil
}

// order returns the row of an order; nil if it could not be read.
func (k *koloClient) order(worker int, id string) []any {
	n, err := number.Atoi(id)
	if err != nil {
		return nil
	}
	if row := k.call(worker, "GetOrder_API", n); len(row) > columnCurrency {
		return row
	}
	return nil
}

// call returns the first row of the answer; nil if there is none.
func (k *koloClient) call(worker int, method string, params ...any) []any {
	for n := 0; n < tries; {
		var answer struct {
			Result []any `xmlrpc:"Result"`
		}
		err := k.clients[worker].Call("Execute", map[string]any{
			"Server": "BM", "Method": method, "Lang": "en", "Params": params,
		}, &answer)
		var fault xmlrpc.FaultError
		switch {
		case err == nil && len(answer.Result) > 0:
			row, _ := answer.Result[0].([]any)
			return row
		case errors.As(err, &fault):
			return nil
		case err != nil && strings.Contains(err.Error(), "429"):
			<-time.After(retryAfter)
		default:
			n++
			<-time.After(retryAfter)
		}
	}
	return nil
}

func signature(row []any) string {
	total, _ := row[columnTotal].(float64)
	comment, _ := row[columnComment].(string) // nil for an empty one
	text := fmt.Sprintf("%v%v%v%v %.2f%v", row[columnID], row[columnNumber], row[columnCreated], row[columnCurrency],
		total, comment)
	sum := md5.Sum([]byte(strings.TrimRight(text, " "))) //nolint:gosec // as Billing wants it
	return hex.EncodeToString(sum[:])
}
