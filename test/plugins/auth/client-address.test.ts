import assert from 'node:assert/strict'
import { test } from 'node:test'
import fastify from 'fastify'
import { readNetworks } from '../../../src/config/networks.ts'
import { addressBlock, clientAddress, trustProxy } from '../../../src/plugins/auth/client-address.ts'

const proxies = ['10.0.0.0/8', '::1', 'fd00::/8']

/** The address that Fastify, with these trusted proxies, derives for a connection from `peer` with this X-Forwarded-For. */
async function seenFrom(peer: string, forwardedFor: string | undefined, trusted: string[]): Promise<string> {
  const app = fastify({ trustProxy: trustProxy(trusted) })
  app.get('/', (request) => clientAddress(request))
  const headers = forwardedFor === undefined ? {} : { 'x-forwarded-for': forwardedFor }
  return (await app.inject({ url: '/', remoteAddress: peer, headers })).body
}

test('without trusted proxies the client address is that of the socket', async () => {
  assert.equal(await seenFrom('192.0.2.1', '198.51.100.1', []), '192.0.2.1')
  assert.equal(await seenFrom('::ffff:192.0.2.1', undefined, []), '192.0.2.1')
})

test('X-Forwarded-For from an untrusted peer is ignored', async () => {
  assert.equal(await seenFrom('192.0.2.1', '198.51.100.1', proxies), '192.0.2.1')
})

test('behind trusted proxies the client address is the last one that is not trusted', async () => {
  assert.equal(await seenFrom('10.0.0.1', '198.51.100.1', proxies), '198.51.100.1')
  assert.equal(await seenFrom('10.0.0.1', '198.51.100.1, 10.0.0.2', proxies), '198.51.100.1')
  assert.equal(await seenFrom('::ffff:10.0.0.1', '198.51.100.1', proxies), '198.51.100.1')
  assert.equal(await seenFrom('::1', '2001:db8::1', proxies), '2001:db8::1')
})

test('addresses that the client itself put into X-Forwarded-For are ignored', async () => {
  assert.equal(await seenFrom('10.0.0.1', '203.0.113.9, 198.51.100.1', proxies), '198.51.100.1')
  assert.equal(await seenFrom('10.0.0.1', '10.0.0.9, 198.51.100.1, 10.0.0.2', proxies), '198.51.100.1')
})

test('an invalid entry in X-Forwarded-For yields the address of the proxy that added it', async () => {
  for (const header of ['unknown', '_hidden', '', '198.51.100.1, unknown', 'x'.repeat(10_000)])
    assert.equal(await seenFrom('10.0.0.1', header, proxies), '10.0.0.1')
})

test('ports and brackets are removed from addresses', async () => {
  assert.equal(await seenFrom('10.0.0.1', '198.51.100.1:4711', proxies), '198.51.100.1')
  assert.equal(await seenFrom('10.0.0.1', '[2001:DB8::1]:4711', proxies), '2001:db8::1')
})

test('IPv6 clients in the same /64 network count as one client', () => {
  const first = addressBlock('2001:db8:0:5::1')
  assert.equal(addressBlock('2001:db8::5:ffff:1:2:3'), first)
  assert.equal(addressBlock('2001:0db8:0000:0005:0:0:0:9'), first)
  assert.notEqual(addressBlock('2001:db8:0:6::1'), first)
  assert.equal(addressBlock('::1'), '0:0:0:0')
  assert.notEqual(addressBlock('192.0.2.1'), addressBlock('192.0.2.2'))
})

test('a network is an address with or without a prefix length; anything else is rejected', () => {
  assert.deepEqual(readNetworks('10.0.0.0/8, ::1,192.0.2.1'), ['10.0.0.0/8', '::1', '192.0.2.1'])
  for (const text of [
    '10.0.0.0/33',
    '::/129',
    'proxy.example',
    '10.0.0/8',
    '1',
    '10.0.0.0/',
    '*',
    'fe80::1%eth0',
  ])
    assert.equal(readNetworks(text), undefined, text)
})
