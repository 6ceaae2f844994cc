import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inNetworks, readNetworks } from '../../src/config/networks.ts'
import { addressBlock, clientAddress } from '../../src/plugins/auth/client-address.ts'

const isProxy = inNetworks(['10.0.0.0/8', '::1', 'fd00::/8'])
const nobody = inNetworks([])

test('without trusted proxies the socket alone says where a request is from', () => {
  assert.equal(clientAddress('192.0.2.1', '198.51.100.1', nobody), '192.0.2.1')
  assert.equal(clientAddress('::ffff:192.0.2.1', undefined, nobody), '192.0.2.1')
})

test('a header from somebody who is no trusted proxy says nothing', () => {
  assert.equal(clientAddress('192.0.2.1', '198.51.100.1', isProxy), '192.0.2.1')
})

test('behind trusted proxies the last address that is none of theirs counts', () => {
  assert.equal(clientAddress('10.0.0.1', '198.51.100.1', isProxy), '198.51.100.1')
  assert.equal(clientAddress('10.0.0.1', '198.51.100.1, 10.0.0.2', isProxy), '198.51.100.1')
  assert.equal(clientAddress('::ffff:10.0.0.1', '198.51.100.1', isProxy), '198.51.100.1')
  assert.equal(clientAddress('::1', '2001:db8::1', isProxy), '2001:db8::1')
})

test('what the client itself wrote in front does not count', () => {
  assert.equal(clientAddress('10.0.0.1', '203.0.113.9, 198.51.100.1', isProxy), '198.51.100.1')
  assert.equal(clientAddress('10.0.0.1', '10.0.0.9, 198.51.100.1, 10.0.0.2', isProxy), '198.51.100.1')
})

test('an entry that is no address ends the search at the proxy that wrote it', () => {
  for (const header of ['unknown', '_hidden', '', '198.51.100.1, unknown', 'x'.repeat(10_000)])
    assert.equal(clientAddress('10.0.0.1', header, isProxy), '10.0.0.1')
})

test('ports and brackets are no part of an address', () => {
  assert.equal(clientAddress('10.0.0.1', '198.51.100.1:4711', isProxy), '198.51.100.1')
  assert.equal(clientAddress('10.0.0.1', '[2001:DB8::1]:4711', isProxy), '2001:db8::1')
})

test('an IPv6 client is one with its whole /64', () => {
  const first = addressBlock('2001:db8:0:5::1')
  assert.equal(addressBlock('2001:db8::5:ffff:1:2:3'), first)
  assert.equal(addressBlock('2001:0db8:0000:0005:0:0:0:9'), first)
  assert.notEqual(addressBlock('2001:db8:0:6::1'), first)
  assert.equal(addressBlock('::1'), '0:0:0:0')
  assert.notEqual(addressBlock('192.0.2.1'), addressBlock('192.0.2.2'))
})

test('networks are addresses with or without a width, and nothing else', () => {
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
