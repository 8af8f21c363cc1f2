package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// The environment variables of secrets.
const environmentHelp = `Secrets come from environment variables. Each may be in a file instead, whose
path is in NAME_FILE or in "secretFiles" of the configuration.
  Connect:           CONNECT_API_KEY
  -via ordermanager: COMMERCE_TOKEN, an APS token; or COMMERCE_CONSUMER_KEY and
                     COMMERCE_CONSUMER_SECRET, for OAuth 1.0a; or with
                     "operations": COMMERCE_USER and COMMERCE_PASSWORD, or none
                     if Operations trusts the address of this machine
  -via billing:      COMMERCE_USER and COMMERCE_PASSWORD, or none if Billing
                     trusts the address of this machine
  -via simpleapi:    COMMERCE_KEY, the subscription key, and either
                     COMMERCE_TOKEN or COMMERCE_USER and COMMERCE_PASSWORD; with
                     "keycloak" also COMMERCE_CLIENT_SECRET
  -notify:           NOTIFY_SECRET, with which messages are signed
`

// maxSecret is the size of a file of a secret at most.
const maxSecret = 64 << 10

// secret returns the value of an environment variable, or of the file that it has instead; "" for none.
func (p *program) secret(c *config, name string) (string, error) {
	value, file := p.Getenv(name), p.Getenv(name+"_FILE")
	configured := c.SecretFiles[name]
	if count(value != "", file != "", configured != "") > 1 {
		return "", usagef("%s is given more than once: by a variable, by %s_FILE or in secretFiles", name, name)
	}
	if configured != "" {
		file = c.path(configured)
	}
	if file == "" {
		return value, nil
	}
	info, err := os.Stat(file)
	if err == nil && info.Size() > maxSecret {
		err = errors.New("the file is too large for a secret")
	}
	var text []byte
	if err == nil {
		text, err = os.ReadFile(file) //nolint:gosec // the user names the file
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	if value = strings.TrimRight(string(text), "\r\n"); value == "" {
		return "", usagef("%s: the file %s is empty", name, file)
	}
	return value, nil
}

// expand returns a text, or the secret that "$NAME" stands for.
func (p *program) expand(c *config, s string) (string, error) {
	name, ok := strings.CutPrefix(s, "$")
	if !ok {
		return s, nil
	}
	value, err := p.secret(c, name)
	if err == nil && value == "" {
		err = usagef("the environment variable %s is empty", name)
	}
	return value, err
}

func count(all ...bool) (n int) {
	for _, one := range all {
		if one {
			n++
		}
	}
	return n
}
