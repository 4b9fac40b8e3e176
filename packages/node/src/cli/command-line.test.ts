import { describe, expect, test } from 'vitest'
import { HELP, readCommandLine } from './command-line.js'

describe('kv-node command line', () => {
  test('nothing → serve, with the defaults of the program', () => {
    expect(readCommandLine([], {})).toMatchObject({
      type: 'serve',
      options: { dataDir: './data', logger: 'info', port: undefined },
    })
  })

  test('flag → before variable, variable before default', () => {
    const environment = {
      KV_PORT: '1',
      KV_DATA_DIR: '/env',
      KV_CHILDREN: '',
      KV_LOG_LEVEL: 'debug',
    }
    const command = readCommandLine(['serve', '--port', '2', '--shards=32'], environment)
    expect(command).toMatchObject({
      options: { port: 2, dataDir: '/env', shards: 32, children: undefined, logger: 'debug' },
    })
  })

  test('every setting → from its flag and from its variable', () => {
    const settings = {
      'data-dir': '/d',
      volumes: '/one, /two',
      'lost-volumes': '/two',
      host: 'localhost',
      port: '1',
      children: '2',
      shards: '16',
      'replication-factor': '2',
      'min-in-sync': '1',
      fsync: 'everysec',
      token: 't',
      origins: 'https://a.example, https://b.example',
      'direct-ports': '7410-7419',
      'ping-timeout': '900',
      'history-bytes': '4096',
      'history-ms': '1000',
      'snapshots-every': '60000',
      'log-level': 'error',
    }
    const flags = Object.entries(settings).map(([name, value]) => `--${name}=${value}`)
    const variables = Object.entries(settings).map(([name, value]) => [
      `KV_${name.toUpperCase().replaceAll('-', '_')}`,
      value,
    ])
    const options = {
      dataDir: '/d',
      volumes: ['/one', '/two'],
      lostVolumes: ['/two'],
      host: 'localhost',
      port: 1,
      children: 2,
      shards: 16,
      replicationFactor: 2,
      minInSync: 1,
      token: 't',
      origins: ['https://a.example', 'https://b.example'],
      fsync: 'everysec',
      directPorts: '7410-7419',
      pingTimeoutMs: 900,
      limits: { historyBytesMax: 4_096, historyMsMax: 1_000 },
      snapshots: { everyMs: 60_000 },
      logger: 'error',
    }
    expect(readCommandLine(flags, {})).toEqual({ type: 'serve', options })
    expect(readCommandLine([], Object.fromEntries(variables))).toEqual({ type: 'serve', options })
    for (const name of Object.keys(settings)) expect(HELP).toContain(`--${name} `)
  })

  test('verify → the directory named, that of the flag or the variable, the default', () => {
    const environment = { KV_DATA_DIR: '/env' }
    expect(readCommandLine(['verify', '/here'], environment)).toEqual({
      type: 'verify',
      volumes: ['/here'],
    })
    expect(readCommandLine(['verify'], environment)).toMatchObject({ volumes: ['/env'] })
    expect(readCommandLine(['verify', '--data-dir', '/flag'], environment)).toMatchObject({
      volumes: ['/flag'],
    })
    expect(readCommandLine(['verify'], {})).toMatchObject({ volumes: ['./data'] })
    expect(readCommandLine(['verify', 'a', 'b'], {})).toMatchObject({ volumes: ['a', 'b'] })
    expect(readCommandLine(['verify'], { KV_VOLUMES: 'a,b' })).toMatchObject({
      volumes: ['a', 'b'],
    })
  })

  test('status and scale → where the node is, and what of it', () => {
    const usual = { host: '127.0.0.1', port: 7400, token: undefined }
    expect(readCommandLine(['status'], {})).toEqual({ type: 'status', node: usual, isJson: false })
    const environment = { KV_HOST: 'db', KV_PORT: '1', KV_TOKEN: 't' }
    const node = { host: 'db', port: 2, token: 't' }
    expect(readCommandLine(['status', '--json', '--port', '2'], environment)).toEqual({
      type: 'status',
      node,
      isJson: true,
    })
    expect(readCommandLine(['scale', '5', '--port', '2'], environment)).toEqual({
      type: 'scale',
      node,
      children: 5,
    })
  })

  test('help and version → before anything else', () => {
    expect(readCommandLine(['--help', '--port', 'x'], {})).toEqual({ type: 'help' })
    expect(readCommandLine(['help'], {})).toEqual({ type: 'help' })
    expect(readCommandLine(['-v'], {})).toEqual({ type: 'version' })
  })

  test('wrong usage → a TypeError that names it as it was written', () => {
    const cases: [string[], Record<string, string>, string][] = [
      [['dance'], {}, 'there is no command dance'],
      [['serve', 'here'], {}, 'here'],
      [['--port', 'http'], {}, '--port is a whole number, not http'],
      [[], { KV_PORT: '-1' }, 'KV_PORT is a whole number, not -1'],
      [['--log-level', 'loud'], {}, '--log-level is one of'],
      [['--colour'], {}, '--colour'],
      [['scale'], {}, 'the number of children is a whole number'],
      [['scale', 'up'], {}, 'the number of children is a whole number, not up'],
      [['scale', '3', '4'], {}, 'what is 4 to mean?'],
      [['status', 'now'], {}, 'what is now to mean?'],
    ]
    for (const [args, environment, message] of cases) {
      expect(() => readCommandLine(args, environment)).toThrow(TypeError)
      expect(() => readCommandLine(args, environment)).toThrow(message)
    }
  })
})
