package failure

// defaultPatterns returns the built-in patterns: failure texts known from public sources (commerce/WIRE.md#6.2,
// commerce/WIRE.md#6.3; resubmit/SAFETY.md#f10, resubmit/SAFETY.md#f12), and some that are inferred.
func defaultPatterns() []Pattern {
	var patterns []Pattern
	add := func(class Class, id, source string, match ...string) {
		patterns = append(patterns, Pattern{ID: id, Class: class, Match: match, Source: source})
	}

	add(AlreadyProvisioned, "subscription-exists", "kb.cloudblue.com/en/131996", "#2007", "already exists")

	const connector = "github.com/cloudblue/connect-extension-for-cb-commerce"
	add(Permanent, "vendor-failed", connector, "Vendor has failed request")
	add(Permanent, "vendor-rejected", connector, "The vendor has rejected the request")
	add(Permanent, "revoking-accepted", connector, "accepted revoking")
	add(Permanent, "provisioning-failed", connector, "ProvisioningFailed")
	add(Permanent, "marketplace-misconfigured", connector, "marketplace misconfiguration")
	add(Permanent, "quantity-zero", connector, "quantity",
		`/\bquantity\W{0,3}(?:(?:is|of)\W)?0(?:[^\d.,]|[.,](?:\D|$)|$)/`)
	const tickets = "pastebin.com/YUSE2GV6"
	add(Permanent, "value-invalid", tickets, "is not valid value")
	add(Permanent, "value-ambiguous", tickets, "is ambiguous")
	add(Permanent, "values-ambiguous", "cloudblue.freshdesk.com/support/solutions/articles/44002227235", "are ambiguous")
	add(Permanent, "customer-not-found", tickets, "Customer not found")
	add(Permanent, "reseller-inactive", tickets, "Reseller Account is not Active")
	add(Permanent, "concurrent-order", "kb.cloudblue.com/pdf/en/120610", "Concurrent Billing Order has been processed")
	add(Permanent, "autodesk-70-71",
		"kb.cloud.im/support/solutions/articles/66000397448; the form of the text is inferred", "autodesk",
		`/\b(?:error|code)\b\D{0,12}7[01]\b/`)

	add(Transient, "http-500",
		"cloudblue.freshdesk.com/support/solutions/articles/44002227235", "500 Internal Server Error")
	const gateway = "inferred from the responses of gateways, commerce/WIRE.md#6.3"
	add(Transient, "bad-gateway", gateway, "Bad Gateway")
	add(Transient, "service-unavailable", gateway, "503 Service Unavailable")
	add(Transient, "service-temporarily-unavailable", gateway, "Service Temporarily Unavailable")
	add(Transient, "gateway-timeout", gateway, "gateway time", "/gateway time-?out/")
	for _, code := range []string{"500", "502", "503", "504"} {
		add(Transient, "status-"+code, gateway, code, statusContext(code))
	}
	add(Transient, "timed-out", "kb.cloudblue.com/en/111834 and "+connector, "timed out")
	add(Transient, "timeout-exception", "kb.cloudblue.com/en/111834", "Timeout exception")
	add(Transient, "aps-connect-unreachable", connector, "Request to APS Connect failed")
	const network = "inferred from the messages of operating systems and of Python's requests, commerce/WIRE.md#6.3"
	add(Transient, "connection-refused", network, "Connection refused")
	add(Transient, "connection-reset", network, "Connection reset")
	add(Transient, "temporary-failure", network, "Temporary failure")
	add(Transient, "connection-retries", network, "Max retries exceeded with url")
	add(Transient, "connection-aborted", network, "Connection aborted")
	return patterns
}

// statusContext returns a regular expression for an HTTP status code. It requires words around the code, because the
// same digits also occur in ids, quantities, ports and host names.
func statusContext(code string) string {
	return `/(?m)` +
		// HTTP 502, HTTP/1.1 502, HTTP error code: 502
		`\bhttp(?:/\d(?:\.\d)?)?(?:[ -](?:error|status|response|code)){0,3}(?:[:=] ?| )` + code + `\b` +
		// status 502, status code: 502, "status_code": 502
		`|\bstatus(?:[ _-]?code)?(?:\W{1,4}| is | of )` + code + `\b` +
		// 502 Server Error, Error: 502 at the end or before its reason
		`|\b(?:error|code|received|returned|answered)\W{1,3}` + code +
		`(?:\W{1,3}(?:bad|server|service|gateway|internal|proxy)\b|[ \t]*(?:[.,;)\]'"<]|$))` +
		`|\b` + code + ` (?:Server Error|Proxy Error|Internal Error)\b/`
}
