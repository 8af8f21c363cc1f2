package commercetest_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce/commercetest"
	"github.com/cloudblue-go/cloudblue/commerce/ordermanager"
)

func userToken(id string) string {
	return `<methodCall><methodName>pem.APS.getUserToken</methodName><params><param><value><struct>` +
		`<member><name>user_id</name><value><i4>` + id +
		`</i4></value></member></struct></value></param></params></methodCall>`
}

var apsToken = regexp.MustCompile(`<name>aps_token</name><value><string>([^<]+)<`)

func TestOperationsTokenExpires(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *commercetest.Config) { c.TokenLifetime = time.Minute })
	answer := r.rpc("/operations/RPC2", userToken("1"), nil)
	requireGolden(t, "user_token.xml", answer)
	token := apsToken.FindStringSubmatch(answer)[1]
	read := func(token string) int {
		status, _ := r.callAs(token, http.MethodGet, orders, "")
		return status
	}
	require.Equal(t, http.StatusOK, read(token))
	r.clock.Add(time.Minute - time.Second)
	require.Equal(t, http.StatusOK, read(token))
	r.clock.Add(time.Second)
	require.Equal(t, http.StatusUnauthorized, read(token), "it has expired")
	next := apsToken.FindStringSubmatch(r.rpc("/operations/RPC2", userToken("1"), nil))[1]
	require.NotEqual(t, token, next)
	require.Equal(t, http.StatusOK, read(next))
	require.Equal(t, http.StatusUnauthorized, read(token))
	require.Equal(t, http.StatusOK, read(commercetest.DefaultToken))
	res, _ := r.send(http.MethodGet, "/simple/orders", "", map[string]string{
		"X-Subscription-Key": commercetest.DefaultSimpleKey, "Authorization": "Bearer " + next,
	})
	require.Equal(t, http.StatusUnauthorized, res.Status, "it is not a token of Simple API")
}

func TestOperationsTokenWithoutLifetime(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	token := apsToken.FindStringSubmatch(r.rpc("/operations/RPC2", userToken("1"), nil))[1]
	r.clock.Add(10 * 365 * 24 * time.Hour)
	status, _ := r.callAs(token, http.MethodGet, orders, "")
	require.Equal(t, http.StatusOK, status)
}

func TestClientRenewsExpiredToken(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *commercetest.Config) {
		c.TokenLifetime, c.TokenUserID = time.Minute, 7
		c.OperationsUser, c.OperationsPassword = "bob", "s3cret-word"
	})
	o := r.failed(commercetest.OrderSpec{})
	fetch, err := ordermanager.UserToken(commercetest.URLsAt(r.base).Operations, 7,
		ordermanager.WithOperationsLogin("bob", "s3cret-word"))
	require.NoError(t, err)
	c, err := ordermanager.New(r.base, ordermanager.TokenFunc(fetch))
	require.NoError(t, err)
	for range 3 {
		_, err = c.Order(t.Context(), o.ID)
		require.NoError(t, err)
		r.clock.Add(time.Hour)
	}
}

func TestOperationsRefusals(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	good := userToken("1")
	for name, test := range map[string]struct{ body, says string }{
		"another user": {userToken("2"), "User #2 is not found"},
		"no user":      {strings.Replace(good, "user_id", "user", 1), "user_id is missing"},
		"a string":     {strings.NewReplacer("<i4>", "<string>", "</i4>", "</string>").Replace(good), "not an integer"},
		"no struct": {"<methodCall><methodName>pem.APS.getUserToken</methodName><params><param><value>1</value>" +
			"</param></params></methodCall>", "takes a struct"},
		"no parameter": {"<methodCall><methodName>pem.APS.getUserToken</methodName></methodCall>", "not 0 parameters"},
		"another method": {strings.Replace(good, "getUserToken", "getAccountToken", 1),
			"no method pem.APS.getAccountToken"},
		"not XML": {"{}", "not XML"},
		"a bigint is fine": {strings.NewReplacer("<i4>1<", "<bigint>3<", "/i4", "/bigint").Replace(good),
			"User #3 is not found"},
	} {
		answer := r.rpc("/operations/RPC2", test.body, nil)
		require.Contains(t, answer, "<name>status</name><value><i4>-1</i4>", name)
		require.Contains(t, answer, test.says, name)
		require.NotContains(t, answer, "fault", name)
	}
	requireGolden(t, "no_user.xml", r.rpc("/operations/RPC2", userToken("2"), nil))
}

func TestOperationsBasicAuth(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *commercetest.Config) { c.OperationsUser, c.OperationsPassword = "bob", "s3cret-word" })
	require.Contains(t, r.rpc("/operations/RPC2", userToken("1"), basicAuth("bob", "s3cret-word")), "aps_token")
	for _, header := range []map[string]string{nil, basicAuth("bob", "s4cret-word"), basicAuth("eve", "s3cret-word")} {
		res, body := r.send(http.MethodPost, "/operations/RPC2", userToken("1"), header)
		require.Equal(t, http.StatusUnauthorized, res.Status)
		require.NotEmpty(t, res.Header.Get("WWW-Authenticate"))
		require.NotContains(t, body, "s3cret-word")
	}
	res, _ := r.send(http.MethodPost, "/operations/other", userToken("1"), basicAuth("bob", "s3cret-word"))
	require.Equal(t, http.StatusNotFound, res.Status)
}
