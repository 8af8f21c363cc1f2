package input

import (
	"errors"
	"fmt"
	"strings"
	"time"

	numbers "github.com/cloudblue-go/cloudblue/internal/number"
)

// Rate reads a number of calls per second: 4, 4/s or 120/min.
func Rate(s string) (float64, error) {
	value, unit, given := strings.Cut(strings.TrimSpace(s), "/")
	per := time.Second
	switch strings.TrimSpace(unit) {
	case "s", "":
		if given && unit == "" {
			return 0, errRate(s)
		}
	case "min", "m":
		per = time.Minute
	case "h":
		per = time.Hour
	default:
		return 0, errRate(s)
	}
	n, err := numbers.ParseFloat(strings.TrimSpace(value), 64)
	if err != nil || !(n > 0) || n > 10_000*per.Seconds() {
		return 0, errRate(s)
	}
	return n / per.Seconds(), nil
}

func errRate(s string) error {
	return fmt.Errorf("%q is not a rate: give calls per second, as 4/s or 0.5/s, or 20/min", s)
}

// List returns the words of lists such as A,B.
func List(lists []string) (words []string) {
	for _, list := range lists {
		for word := range strings.SplitSeq(list, ",") {
			if word = strings.TrimSpace(word); word != "" {
				words = append(words, word)
			}
		}
	}
	return words
}

// Steps reads the steps of a canary: off, or numbers of orders such as 1,2,5.
func Steps(s string) ([]int, error) {
	if s == "off" {
		return []int{}, nil
	}
	var steps []int
	for word := range strings.SplitSeq(s, ",") {
		n, err := numbers.Atoi(strings.TrimSpace(word))
		if err != nil || n < 1 || n > 1_000_000 {
			return nil, errors.New("give numbers of orders such as 1,2,5, or off")
		}
		steps = append(steps, n)
	}
	return steps, nil
}
