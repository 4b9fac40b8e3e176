/**
 * A data directory from start to start: who may have it, what may change, how a node ends.
 */
import { readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { once } from 'node:events'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { failureOf, rejectionOf } from './behaviour/rejection.js'
import { WriteStream } from './load/write-stream.js'
import { NotServing, runProgram } from './scene/node-process.js'
import { isBalanced, keysOfShard, pidOf, shardsOfChild } from './scene/placement.js'
import { sceneOfTest } from './scene/scene.js'
import { until } from './scene/until.js'

const TIMEOUT_MS = 60_000

describe('one coordinator per data directory', () => {
  test('a second process is refused with a clear message; the first goes on (P5)', async () => {
    const scene = sceneOfTest()
    const node = await scene.serve({ children: 1 })
    const client = scene.client(node.url)
    await client.set('key', 1)
    const { directory } = node
    const error = await rejectionOf(() => scene.serve({ directory, children: 1 }))
    expect(error).toBeInstanceOf(NotServing)
    const { exit, log } = error as NotServing
    expect(exit.code).toBe(1)
    expect(log).toContain(`${directory} is in use by another kv node`)
    const linked = join(await scene.directory(), 'link')
    symlinkSync(directory, linked)
    const throughLink = rejectionOf(() => scene.serve({ directory: linked, children: 1 }))
    expect(String(await throughLink)).toContain('in use by another kv node')
    expect(await client.get('key')).toBe(1)
  })

  test('a second one in the same process is refused, too (P5)', async () => {
    const scene = sceneOfTest()
    const dataDir = await scene.directory()
    await scene.startNode({ dataDir, children: 1 })
    const second = await failureOf(() => scene.startNode({ dataDir, children: 1 }))
    expect(second).toBe('UNAVAILABLE not-applied')
  })

  test('a port that is taken → a clear message, and the directory is free again', async () => {
    const scene = sceneOfTest()
    const directory = await scene.directory()
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const error = await rejectionOf(() => scene.serve({ directory, port, children: 1 }))
    server.close()
    expect(String(error)).toContain('the port is in use')
    expect((error as NotServing).exit.code).toBe(1)
    const node = await scene.serve({ directory, children: 1 })
    expect((await node.readiness()).ready).toBe(true)
  })
})

describe('what may change from start to start', () => {
  test('not the number of shards; without the option the directory decides', async () => {
    const scene = sceneOfTest()
    const node = await scene.serve({ shards: 32, children: 1 })
    const { directory } = node
    await scene.client(node.url).set('key', 1)
    await node.terminate()
    const error = await rejectionOf(() => scene.serve({ directory, shards: 16, children: 1 }))
    expect((error as NotServing).exit.code).toBe(2)
    expect(String(error)).toContain(`shards is 16, but ${directory} was created with 32`)
    const again = await scene.serve({ directory, children: 1 })
    expect(await scene.client(again.url).get('key')).toBe(1)
  })

  test(
    'the number of children: all data is there, shards are spread anew within one of even',
    async () => {
      const scene = sceneOfTest()
      const dataDir = await scene.directory()
      const keys = Array.from({ length: 500 }, (_, index) => `key/${index}`)
      for (const [round, children] of [1, 4, 3, 1].entries()) {
        const node = await scene.startNode({ dataDir, children })
        expect(node.topology().children).toHaveLength(children)
        expect(isBalanced(node)).toBe(true)
        const client = scene.client(node.url)
        const values = await client.getMany(keys)
        expect(new Set(values)).toEqual(new Set([round === 0 ? undefined : round]))
        await client.setMany(keys.map((key) => [key, round + 1] as const))
        await client.close()
        await node.close()
      }
    },
    TIMEOUT_MS,
  )

  test('what makes a directory a kv directory is missing or changed → refused', async () => {
    const scene = sceneOfTest()
    const dataDir = await scene.directory()
    const start = (): Promise<unknown> => scene.startNode({ dataDir, children: 1 })
    await (await scene.startNode({ dataDir, children: 1 })).close()
    const topology = join(dataDir, 'topology.json')
    const identity = join(dataDir, 'node.json')
    for (const file of [topology, identity]) {
      renameSync(file, `${file}.kept`)
      expect([file, await failureOf(start)]).toEqual([file, 'UNAVAILABLE not-applied'])
      writeFileSync(file, '{"checksum":"","record":{}}')
      expect([file, await failureOf(start)]).toEqual([file, 'UNAVAILABLE not-applied'])
      rmSync(file)
      renameSync(`${file}.kept`, file)
    }
    const node = await scene.startNode({ dataDir, children: 1 })
    expect(isBalanced(node)).toBe(true)
  })

  test('a directory of something else is refused and left alone', async () => {
    const scene = sceneOfTest()
    const dataDir = await scene.directory()
    writeFileSync(join(dataDir, 'node.json'), 'something else')
    const start = (): Promise<unknown> => scene.startNode({ dataDir, children: 1 })
    expect(await failureOf(start)).toBe('UNAVAILABLE not-applied')
    expect(readdirSync(dataDir)).toEqual(['node.json'])
  })
})

describe('the end of a node', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)(
    '%s in mid-stream → exit code 0, tidy files, every acknowledged write is there (P1)',
    async (signal) => {
      const scene = sceneOfTest()
      const node = await scene.serve({ children: 2 })
      const clients = [0, 1].map(() => scene.client({ url: node.url, timeout: 20_000 }))
      const stream = new WriteStream(clients, { prefix: 'stream/' })
      await stream.untilAcknowledged(300)
      expect(await node.terminate(signal)).toEqual({ code: 0, signal: null })
      expect(untidy(node.directory)).toEqual([])
      const port = Number(new URL(node.url).port)
      const again = await scene.serve({ directory: node.directory, port, children: 2 })
      await stream.untilAcknowledged(300)
      await stream.end()
      expect(await stream.violations(scene.client(again.url))).toEqual([])
    },
  )

  test('close drains: a write under way is answered, then the node ends', async () => {
    const scene = sceneOfTest()
    const dataDir = await scene.directory()
    const node = await scene.startNode({ dataDir, children: 2 })
    const client = scene.client(node.url)
    const shard = shardsOfChild(node, 1)[0] ?? 0
    const [key = ''] = keysOfShard(shard, 16, 1)
    await client.connect()
    const pid = pidOf(node, 1)
    process.kill(pid, 'SIGSTOP')
    const written = client.set(key, 'under way')
    await until('the write is under way', async () => {
      return (await node.stats()).coordinator.batchesInFlight === 1
    })
    const closing = node.close()
    process.kill(pid, 'SIGCONT')
    expect((await written).ok).toBe(true)
    await closing
    await client.close()
    const again = await scene.startNode({ dataDir, children: 1 })
    expect(await scene.client(again.url).get(key)).toBe('under way')
  })

  test('closing twice is closing once; an idle node leaves tidy files', async () => {
    const scene = sceneOfTest()
    const dataDir = await scene.directory()
    const node = await scene.startNode({ dataDir, children: 1 })
    await Promise.all([node.close(), node.close()])
    await node.close()
    expect(untidy(dataDir)).toEqual([])
  })
})

describe('the program', () => {
  test('--help and --version say so and end with 0; wrong usage ends with 2', async () => {
    const [help, version, flag, command, number] = await Promise.all([
      runProgram(['--help']),
      runProgram(['--version']),
      runProgram(['--no-such-flag']),
      runProgram(['no-such-command']),
      runProgram(['--port', 'many']),
    ])
    expect(help).toMatchObject({ code: 0, log: '' })
    expect(help.output).toContain('Usage: kv-node')
    expect(version.output).toMatch(/^\d+\.\d+\.\d+\n$/)
    expect([flag.code, command.code, number.code]).toEqual([2, 2, 2])
    expect(number.log).toContain('--port')
  })
})

/** Files that a node which has ended should have put away. */
function untidy(directory: string): string[] {
  const names = readdirSync(directory, { recursive: true, encoding: 'utf8' })
  return names.filter((name) => name.endsWith('.tmp') || name.endsWith('.sock'))
}
