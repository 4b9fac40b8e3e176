import { availableParallelism } from 'node:os'
import { resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { NodeOptions } from './config.js'
import { defaultShards, resolveOptions } from './config.js'

const DATA_DIR = './somewhere'

describe('config', () => {
  test('only a directory → the defaults', () => {
    expect(resolveOptions({ dataDir: DATA_DIR })).toEqual({
      volumes: [resolve(DATA_DIR)],
      lostVolumes: [],
      host: '127.0.0.1',
      port: 7400,
      children: undefined,
      usualChildren: availableParallelism(),
      shards: undefined,
      newShards: defaultShards(availableParallelism()),
      replicationFactor: undefined,
      minInSync: undefined,
      token: undefined,
      origins: [],
      directPorts: { firstPort: 0, lastPort: 0 },
      limits: {
        valueBytesMax: 1_048_576,
        overlayBytesMax: 67_108_864,
        historyBytesMax: 268_435_456,
        historyMsMax: 3_600_000,
        inFlightBytesMax: 8_388_608,
        connectionsMax: 10_000,
      },
      fsync: 'always',
      snapshotsEveryMs: 0,
      pingTimeoutMs: 1_000,
      logger: 'warn',
    })
  })

  test('shards of a new directory → twice the cores, rounded up, at least 16', () => {
    expect([1, 2, 8, 9, 12, 64].map(defaultShards)).toEqual([16, 16, 16, 32, 32, 128])
  })

  test('an address others can reach → only with a token', () => {
    const options = { dataDir: DATA_DIR, host: '0.0.0.0' }
    expect(() => resolveOptions(options)).toThrow('host 0.0.0.0 can be reached from elsewhere')
    expect(resolveOptions({ ...options, token: 'secret' }).host).toBe('0.0.0.0')
  })

  const wrong: [string, object, string][] = [
    ['no directory', { dataDir: '' }, 'dataDir is missing'],
    ['a port out of range', { port: 65_536 }, 'port is a whole number from 0 to 65535'],
    ['a port that is text', { port: '7400' }, 'port is a whole number'],
    ['no children', { children: 0 }, 'children is a whole number from 1'],
    ['shards that are no power of two', { shards: 24 }, 'shards is a power of two, not 24'],
    ['an empty token', { token: '' }, 'token is a non-empty string'],
    ['ports in the wrong order', { directPorts: '7419-7410' }, 'directPorts is any, none'],
    ['a port that is none', { directPorts: '0-70000' }, 'directPorts is any, none'],
    ['an origin with a path', { origins: ['https://a.example/x'] }, 'origins: https://a.example/x'],
    ['a limit above the protocol', { limits: { valueBytesMax: 2 ** 21 } }, 'limits.valueBytesMax'],
    ['an unknown level', { logger: 'loud' }, 'logger is a pino logger or a level'],
    ['an unknown option', { shard: 16 }, 'there is no option shard'],
    ['snapshots all the time', { snapshots: { everyMs: 1 } }, 'snapshots.everyMs'],
    ['no copy', { replicationFactor: 0 }, 'replicationFactor is a whole number from 1'],
    ['more copies than children', { replicationFactor: 3, children: 2 }, 'in another child'],
    ['more in sync than copies', { replicationFactor: 2, minInSync: 3 }, 'minInSync'],
    ['both dataDir and volumes', { volumes: ['/a'] }, 'either dataDir or volumes'],
    ['another fsync', { fsync: 'never' }, 'fsync is always or everysec, not never'],
  ]
  for (const [name, options, message] of wrong) {
    test(`${name} → a TypeError that says so`, () => {
      const given = { dataDir: DATA_DIR, ...options } as NodeOptions
      expect(() => resolveOptions(given)).toThrow(TypeError)
      expect(() => resolveOptions(given)).toThrow(message)
    })
  }

  test('volumes → in their order, with those that are lost by their index', () => {
    const volumes = ['/a', './b']
    const given = { volumes, lostVolumes: ['b'], replicationFactor: 2, children: 2 }
    const settings = resolveOptions(given)
    expect(settings.volumes).toEqual(['/a', resolve('b')])
    expect(settings.lostVolumes).toEqual([1])
  })

  test('more copies than cores → as many children as copies', () => {
    const copies = Math.min(16, availableParallelism() + 1)
    const settings = resolveOptions({ dataDir: DATA_DIR, replicationFactor: copies })
    expect(settings.usualChildren).toBeGreaterThanOrEqual(copies)
  })

  const wrongVolumes: [string, object, string][] = [
    ['none', { volumes: [] }, 'volumes is a list of paths'],
    ['one twice', { volumes: ['/a', '/b/../a'] }, 'volumes names one path twice'],
    ['a lost one that is none', { volumes: ['/a', '/b'], lostVolumes: ['/c'] }, 'lostVolumes'],
    ['all lost', { volumes: ['/a'], lostVolumes: ['/a'] }, 'lostVolumes names every volume'],
    [
      'fewer than copies',
      { volumes: ['/a', '/b'], replicationFactor: 3, children: 3 },
      'each copy is on another one',
    ],
  ]
  for (const [name, options, message] of wrongVolumes) {
    test(`volumes: ${name} → a TypeError that says so`, () => {
      expect(() => resolveOptions(options)).toThrow(TypeError)
      expect(() => resolveOptions(options)).toThrow(message)
    })
  }

  test('what is the only choice → may be said', () => {
    const options = { dataDir: DATA_DIR, replicationFactor: 1, fsync: 'always' } as const
    expect(resolveOptions(options).replicationFactor).toBe(1)
  })
})
