import { describe, expect, test } from 'vitest'
import type { Command } from './command-line.js'
import { readCommandLine } from './command-line.js'

const HERE = { url: 'kv://127.0.0.1:7400', token: undefined, timeoutMs: 10_000 }

function commandIn(...args: readonly string[]): Command {
  return readCommandLine(args, {}).command
}

describe('the command line of kv', () => {
  test('option over variable over default', () => {
    expect(readCommandLine(['get', 'a'], {}).target).toEqual(HERE)
    const variables = { KV_URL: 'kv://there', KV_TOKEN: 'secret' }
    expect(readCommandLine(['get', 'a'], variables).target).toEqual({
      ...HERE,
      url: 'kv://there',
      token: 'secret',
    })
    const options = ['--url', 'kv://here', '--token', 'other', '--timeout', '2s']
    expect(readCommandLine(['get', 'a', ...options], variables).target).toEqual({
      url: 'kv://here',
      token: 'other',
      timeoutMs: 2_000,
    })
    expect(readCommandLine(['get', 'a'], { KV_URL: '', KV_TOKEN: '' }).target).toEqual(HERE)
  })

  test.each<[string, readonly string[], Command]>([
    ['nothing', [], { type: 'help' }],
    ['help of a command', ['get', '--help'], { type: 'help' }],
    ['get', ['get', 'a'], { type: 'get', key: 'a' }],
    ['status', ['status', '--json'], { type: 'status' }],
    ['several keys', ['delete', 'a', 'b'], { type: 'delete', keys: ['a', 'b'] }],
    ['a step', ['increment', 'a'], { type: 'increment', key: 'a', by: 1 }],
    ['a step back', ['increment', 'a', '-2.5'], { type: 'increment', key: 'a', by: -2.5 }],
    ['scale', ['scale', '5'], { type: 'scale', children: 5 }],
    ['every change', ['watch'], { type: 'watch', what: { prefix: '' }, isInitial: false }],
    ['a key', ['watch', 'a', '--initial'], { type: 'watch', what: 'a', isInitial: true }],
    [
      'a prefix',
      ['watch', '--prefix', 'a/'],
      { type: 'watch', what: { prefix: 'a/' }, isInitial: false },
    ],
    [
      'a time to live',
      ['set', 'a', '-1', '--ttl', '1.5m'],
      { type: 'set', key: 'a', text: '-1', how: { ttlMs: 90_000, ifVersion: undefined } },
    ],
    [
      'only if it is not there',
      ['set', 'a', 'b', '--if-absent'],
      { type: 'set', key: 'a', text: 'b', how: { ttlMs: undefined, ifVersion: null } },
    ],
    [
      'a page of keys, backwards',
      ['list', 'user/', '--keys', '--limit', '3', '--reverse'],
      { type: 'list', range: { prefix: 'user/', limit: 3, reverse: true }, isKeysOnly: true },
    ],
    [
      'a load',
      ['bench', '--keys', '5', '--in-flight', '1'],
      { type: 'bench', load: { seconds: 3, inFlight: 1, keys: 5, valueBytes: 100 } },
    ],
  ])('%s', (_what, args, command) => {
    expect(commandIn(...args)).toEqual(command)
  })

  test.each([
    [['fetch', 'a'], 'there is no command fetch'],
    [['get'], 'get needs a key'],
    [['set', 'a'], 'set needs a value'],
    [['get', 'a', 'b'], 'get does not take b as well'],
    [['get', 'a', '--ttl', '1s'], 'get takes no --ttl'],
    [['delete'], 'delete takes a key'],
    [['increment', 'a', 'many'], 'many is not a number'],
    [['scale', '0'], 'the number of children is a whole number from 1'],
    [['scale', '-1'], 'the number of children is a whole number from 1'],
    [['set', 'a', 'b', '--ttl', 'soon'], '--ttl is a time like'],
    [['set', 'a', 'b', '--ttl', '0'], '--ttl is a time like'],
    [['set', 'a', 'b', '--if-absent', '--if-version', '2'], 'one of them'],
    [['watch', 'a', '--prefix', 'b'], 'not both'],
    [['list', '--limit', 'all'], '--limit is a whole number'],
    [['bench', '--in-flight', '9999999'], 'from 1 to 100000'],
    [['get', 'a', '--nonsense'], 'nonsense'],
  ])('wrong usage %j → a TypeError that says what is wrong', (args, message) => {
    expect(() => commandIn(...args)).toThrow(TypeError)
    expect(() => commandIn(...args)).toThrow(message)
  })
})
