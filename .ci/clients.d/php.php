<?php
// Talks to a running sandbox with the extensions of PHP: xmlrpc for Billing and Operations, curl for the others.
// Reads the line of JSON that the sandbox prints from stdin. The sandbox has 6 completed orders, and 12 that failed.
// Ends with 1 and one line on stderr when an answer is not what it should be.
declare(strict_types=1);

const COMMENT = "Zażółć <&> gęślą";
const PATIENCE = 10; // seconds

set_error_handler(function (int $level, string $text): bool {
    throw new RuntimeException($text);
}, E_ALL & ~E_DEPRECATED);

function same(string $what, mixed $got, mixed $want): void
{
    if ($got !== $want) {
        throw new RuntimeException("$what is " . json_encode($got) . ", not " . json_encode($want));
    }
}

/** send makes a call and returns the body of its answer, which must be a success. */
function send(string $method, string $url, array $header = [], ?string $body = null): string
{
    $curl = curl_init($url);
    curl_setopt_array($curl, [
        CURLOPT_CUSTOMREQUEST => $method, CURLOPT_HTTPHEADER => $header, CURLOPT_RETURNTRANSFER => true,
        CURLOPT_TIMEOUT => PATIENCE,
    ]);
    if ($body !== null) {
        curl_setopt($curl, CURLOPT_POSTFIELDS, $body);
    }
    $answer = curl_exec($curl);
    $status = curl_getinfo($curl, CURLINFO_RESPONSE_CODE);
    if ($answer === false || $status < 200 || $status > 299) {
        throw new RuntimeException("$method $url: $status " . curl_error($curl) . " $answer");
    }
    return $answer;
}

function json(string $method, string $url, array $header = [], ?array $body = null): array
{
    $text = $body === null ? null : json_encode($body);
    return json_decode(send($method, $url, [...$header, 'Content-Type: application/json'], $text), true, 64, JSON_THROW_ON_ERROR);
}

/** rpc calls a method with the declaration that the extension writes: iso-8859-1, with character references. */
function rpc(string $url, string $method, array $params): mixed
{
    $request = xmlrpc_encode_request($method, [$params]);
    if (!str_contains($request, 'encoding="iso-8859-1"')) {
        throw new RuntimeException("the extension declares another encoding: $request");
    }
    return xmlrpc_decode(send('POST', $url . '/RPC2', ['Content-Type: text/xml'], $request), 'utf-8');
}

function execute(string $billing, string $method, mixed ...$params): mixed
{
    $answer = rpc($billing, 'Execute', ['Server' => 'BM', 'Method' => $method, 'Lang' => 'en', 'Params' => $params]);
    return xmlrpc_is_fault($answer) ? $answer : $answer['Result'][0];
}

function until(string $what, string $want, callable $read): void
{
    for ($end = microtime(true) + PATIENCE; ($got = $read()) !== $want; usleep(50000)) {
        if (microtime(true) > $end) {
            same($what, $got, $want);
        }
    }
}

/** pages reads pages of a size until there is none. */
function pages(string $what, int $total, int $size, callable $read): array
{
    for ($found = []; $page = $read(count($found), $size); array_push($found, ...$page)) {
        if (count($page) > $size) {
            same("the size of a page of $what", count($page), $size);
        }
    }
    same("the number of $what", count($found), $total);
    return $found;
}

function checkOrderManager(array $greeting): array
{
    $orders = $greeting['commerce'] . '/aps/2/services/order-manager/orders';
    $token = ['APS-Token: ' . $greeting['commerceToken']];
    $list = fn (string $query) => fn (int $start, int $size) =>
        json('GET', "$orders?{$query}sort(+orderDate),limit($start,$size)", $token);
    pages('orders', 18, 5, $list(''));
    $failed = pages('failed orders', 12, 5, $list('in(status,(PF)),'));
    pages('failed orders of the reseller', 4, 3, $list('eq(status,PF),eq(vendorAccountId,1000101),'));
    $url = "$orders/{$failed[0]['orderId']}";
    $order = json('GET', $url, $token);
    same('the status of the order', $order['status'], 'PF');
    send('POST', "$url/push", [...$token, 'Content-Type: application/json'], json_encode(['ofStatus' => 'PD']));
    until('the status after a push', 'CP', fn () => json('GET', $url, $token)['status']);
    return $failed;
}

function signature(array $row): string
{
    $text = $row[0] . $row[1] . $row[6] . $row[17] . ' ' . sprintf('%.2F', $row[8]) . $row[12];
    return md5(rtrim($text));
}

function checkBilling(array $greeting, int $id): void
{
    $billing = $greeting['billing'];
    $row = execute($billing, 'GetOrder_API', $id);
    same('the number of columns', count($row), 19);
    same('OrderID', $row[0], $id);
    same('OrderStatusID', $row[4], 'PF');
    same('Total', $row[8], 12.5);
    same('Comments', $row[12], COMMENT);
    $refused = execute($billing, 'GetOrder_API', 99999999);
    same('the type of the code', is_int($refused['faultCode']), true);
    same('the refusal', base64_decode($refused['faultString'], true), 'Table Order does not contain row with ID 99999999.');
    $refused = execute($billing, 'OrderStatusChange_API', $id, 'PD', str_repeat('0', 32));
    same('the refusal of a wrong signature names it', str_contains(base64_decode($refused['faultString']), 'signature'), true);
    same('the answer', execute($billing, 'OrderStatusChange_API', $id, 'PD', signature($row)), ['Operation done.']);
    until('the status after a push', 'CP', fn () => execute($billing, 'GetOrder_API', $id)[4]);
}

function checkOperations(array $greeting): void
{
    $answer = rpc($greeting['operations'], 'pem.APS.getUserToken', ['user_id' => 1]);
    same('the status of a token', $answer['status'], 0);
    $token = ['APS-Token: ' . $answer['result']['aps_token']];
    $orders = json('GET', $greeting['commerce'] . '/aps/2/services/order-manager/orders?limit(0,1)', $token);
    same('the number of orders that the token shows', count($orders), 1);
}

function checkSimpleAPI(array $greeting, string $id): void
{
    $login = $greeting['simpleLogin'];
    $key = 'X-Subscription-Key: ' . $login['subscriptionKey'];
    $basic = 'Authorization: Basic ' . base64_encode($login['user'] . ':' . $login['password']);
    $token = json('POST', $greeting['simpleapi'] . '/token', [$key, $basic], ['marketplace' => 'us'])['token'];
    $header = [$key, "Authorization: Bearer $token"];
    $orders = $greeting['simpleapi'] . '/orders';
    pages('orders', 18, 7, fn (int $start, int $size) => json('GET', "$orders?offset=$start&limit=$size", $header)['data']);
    $failed = json('GET', "$orders?statusCode=PF", $header)['data'];
    same('whether the order is listed as failed', in_array($id, array_column($failed, 'id'), true), true);
    json('PATCH', "$orders/$id", $header, ['statusCode' => 'PD']);
    until('the status after a push', 'completed', fn () => json('GET', "$orders/$id", $header)['status']);
}

try {
    $greeting = json_decode(fgets(STDIN), true, 64, JSON_THROW_ON_ERROR);
    $failed = checkOrderManager($greeting);
    checkBilling($greeting, (int) end($failed)['internalId']);
    checkOperations($greeting);
    checkSimpleAPI($greeting, $failed[1]['internalId']);
    echo "php: ok\n";
} catch (Throwable $e) {
    fwrite(STDERR, 'php: ' . get_class($e) . ': ' . $e->getMessage() . "\n");
    exit(1);
}
