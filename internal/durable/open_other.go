//go:build !unix

package durable

const noFollow = 0 // there is no such flag
