// Talks to a running sandbox with CloudBlue's SDK for JavaScript, and to Commerce with what Node.js brings.
// Reads the line of JSON that the sandbox prints from stdin. The sandbox has 6 completed orders, and 12 that failed.
// Ends with 1 and one line on stderr when an answer is not what it should be.
const assert = require('node:assert/strict');
const { readFileSync } = require('node:fs');
const { setTimeout: sleep } = require('node:timers/promises');
const { ConnectClient, Fulfillment } = require('@cloudblueconnect/connect-javascript-sdk');

const PATIENCE = 10000; // milliseconds

// pages reads pages of a size until there is none, and returns the rows, which must differ.
async function pages(what, total, size, read) {
  const found = [];
  for (let page = await read(0, size); page.length > 0; page = await read(found.length, size)) {
    assert.ok(page.length <= size, `a page of ${what} has ${page.length} rows, not ${size}`);
    found.push(...page);
  }
  assert.equal(found.length, total, `the number of ${what}`);
  assert.equal(new Set(found.map((row) => JSON.stringify(row))).size, total, `the number of different ${what}`);
  return found;
}

async function until(what, want, read) {
  const end = Date.now() + PATIENCE;
  for (let got = await read(); got !== want; got = await read()) {
    assert.ok(Date.now() < end, `${what} is ${got} after ${PATIENCE} ms, not ${want}`);
    await sleep(50);
  }
}

async function main() {
  const greeting = JSON.parse(readFileSync(0, 'utf8'));
  const client = new ConnectClient(greeting.connect, `ApiKey ${greeting.connectKey}`);
  const fulfillment = new Fulfillment(client);
  const approved = (extra) => (offset, limit) => client.requests.search({
    type: 'purchase', status: { $in: ['approved', 'failed'] }, ...extra, $ordering: ['created'], limit, offset,
  });
  const requests = await pages('requests', 6, 4, approved({}));
  assert.deepEqual(await fulfillment.searchRequests({ status: 'failed' }), [], 'failed requests');
  const one = requests[2];
  assert.equal((await fulfillment.getRequest(one.id)).asset.id, one.asset.id, 'the asset of a request');
  assert.deepEqual((await approved({ id: { $in: [one.id] } })(0, 10)).map((r) => r.id), [one.id], 'a request by its id');
  assert.equal((await client.assets.get(one.asset.id)).id, one.asset.id, 'the asset');
  assert.equal((await client.hubs.search({})).length, 1, 'the number of hubs');
  await assert.rejects(client.requests.get('PR-0000-0000-0000'), { status: 404 });

  const orders = `${greeting.commerce}/aps/2/services/order-manager/orders`;
  const call = async (url, options = {}) => {
    const headers = { 'APS-Token': greeting.commerceToken, 'Content-Type': 'application/json' };
    const answer = await fetch(url, { headers, signal: AbortSignal.timeout(PATIENCE), ...options });
    assert.ok(answer.ok, `${url}: ${answer.status}`);
    return answer.json();
  };
  const list = (query) => (start, size) => call(`${orders}?${query}sort(+orderDate),limit(${start},${size})`);
  await pages('orders', 18, 5, list(''));
  const failed = await pages('failed orders', 12, 5, list('in(status,(PF)),'));
  await pages('failed orders of the reseller', 4, 3, list('eq(status,PF),eq(vendorAccountId,1000101),'));
  const url = `${orders}/${failed[0].orderId}`;
  const order = await call(url);
  assert.ok('PD' in order.possiblePushToStatus, 'a failed order can be pushed to PD');
  await call(`${url}/push`, { method: 'POST', body: JSON.stringify({ ofStatus: 'PD' }) });
  await until('the status after a push', 'CP', async () => (await call(url)).status);
  const found = await pages('requests', 7, 4, approved({}));
  const fresh = found.filter((r) => !requests.some((old) => old.id === r.id));
  assert.deepEqual(fresh.map((r) => r.status), ['approved'], 'the request of the resubmitted order');
  console.log('javascript: ok');
}

main().catch((error) => {
  console.error(`javascript: ${error.message.split('\n')[0]}`);
  process.exit(1);
});
