import { expect, test } from 'vitest'
import { webSocketUrls } from './address.js'
import type { ClientOptions, ClientTarget } from './settings.js'
import { optionsOf, settingsOf } from './settings.js'

const NONE = { url: undefined, token: undefined }

test.each<[string | string[], string[]]>([
  ['kv://host', ['ws://host:7400/']],
  ['kvs://host', ['wss://host:7400/']],
  ['kv://host:80', ['ws://host/']],
  ['kv://[::1]', ['ws://[::1]:7400/']],
  ['kv://[::1]:9', ['ws://[::1]:9/']],
  ['ws://host', ['ws://host/']],
  ['wss://host:1234/kv', ['wss://host:1234/kv']],
  ['kv://host/behind/proxy', ['ws://host:7400/behind/proxy']],
  ['kvs://one:1,two:2, kv://three', ['wss://one:1/', 'wss://two:2/', 'ws://three:7400/']],
  [
    ['kv://one', 'kvs://two'],
    ['ws://one:7400/', 'wss://two:7400/'],
  ],
])('address %j → %j', (address, urls) => {
  expect(webSocketUrls(address)).toEqual(urls)
})

test.each(['host', 'http://host', 'kv://', '', 'kv://a,', 'kv://host:99999', [], [5]])(
  'address %j → TypeError',
  (address) => {
    expect(() => webSocketUrls(address as string)).toThrow(TypeError)
  },
)

test('settings: options > platform > defaults', () => {
  const platform = { url: 'kv://env', token: 'env' }
  expect(settingsOf({}, NONE)).toEqual({
    urls: ['ws://127.0.0.1:7400/'],
    token: '',
    name: '',
    timeoutMs: 10_000,
    queueBytesMax: 67_108_864,
    queueCallsMax: 1_000_000,
    reconnectDelays: { baseMs: 25, maxMs: 2_000 },
  })
  expect(settingsOf({}, platform)).toMatchObject({ urls: ['ws://env:7400/'], token: 'env' })
  const options = { url: 'kv://own', token: 'own', timeout: 5, reconnect: { maxMs: 9 } }
  expect(settingsOf(options, platform)).toMatchObject({
    urls: ['ws://own:7400/'],
    token: 'own',
    timeoutMs: 5,
    reconnectDelays: { baseMs: 25, maxMs: 9 },
  })
})

test.each<ClientOptions>([
  { timeout: 0 },
  { queueBytesMax: -1 },
  { queueCallsMax: Number.NaN },
  { reconnect: { baseMs: 0 } },
  { token: 5 as unknown as string },
  { name: 'x'.repeat(5_000) },
])('settings: %j → TypeError', (options) => {
  expect(() => settingsOf(options, NONE)).toThrow(TypeError)
})

test('target: an address, several, options or nothing', () => {
  expect(optionsOf('kv://a')).toEqual({ url: 'kv://a' })
  expect(optionsOf(['kv://a'])).toEqual({ url: ['kv://a'] })
  expect(optionsOf({ token: 't' })).toEqual({ token: 't' })
  expect(optionsOf(undefined)).toEqual({})
  expect(optionsOf({ direct: false })).toEqual({ direct: false })
  expect(() => optionsOf(5 as unknown as ClientTarget)).toThrow(TypeError)
})

test.each<[object, string]>([
  [{ tokn: 'x' }, 'createClient: there is no option "tokn": did you mean token?'],
  [{ reconnect: { maxms: 5 } }, 'createClient: there is no option "maxms": did you mean maxMs?'],
  [{ direct: 'never' as never }, 'createClient: direct is'],
])('options %j → %s', (options, message) => {
  expect(() => optionsOf(options)).toThrow(message)
})
