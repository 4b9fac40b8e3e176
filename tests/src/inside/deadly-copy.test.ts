/**
 * A copy that is stored such that whoever opens it dies of a signal: no other copy is blamed for it, and
 * it is made anew from the other.
 */
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { sceneOfTest } from '../scene/scene.js'
import { until } from '../scene/until.js'

const NODE_PACKAGE = import.meta.resolve('@kv/node')
const TIMEOUT_MS = 120_000
const SHARD = 3

/** Loaded before the program of each child: to open the log of a copy with such a file is the end. */
const DEADLY = `
  import { existsSync, appendFileSync } from 'node:fs'
  if (process.argv[1]?.endsWith('main.js') && process.connected) {
    const at = (path) => new URL(path, ${JSON.stringify(NODE_PACKAGE)}).href
    const { Log } = await import(at('shard/log/log.js'))
    const { open } = Log
    Log.open = function (options) {
      const mark = options.directory + '/../deadly'
      if (existsSync(mark)) {
        appendFileSync(mark, 'x')
        process.kill(process.pid, 'SIGBUS')
      }
      return open.call(this, options)
    }
  }`

describe('a copy that ends every child that opens it', () => {
  test(
    'two copies → two ends, then it is made anew from the other, with nothing lost (P1)',
    async () => {
      vi.stubEnv('NODE_OPTIONS', `--import=data:text/javascript,${encodeURIComponent(DEADLY)}`)
      const scene = sceneOfTest()
      const dataDir = await scene.directory()
      const options = { dataDir, children: 3, replicationFactor: 2, minInSync: 1 }
      const first = await scene.startNode(options)
      await until('every copy is in sync', () =>
        first.topology().shards.every(({ inSync }) => inSync.length === 2),
      )
      const entries = Array.from({ length: 500 }, (_, index) => [`key/${index}`, index] as const)
      await scene.client(first.url).setMany(entries)
      await first.close()

      const shards = join(dataDir, 'shards')
      writeFileSync(join(shards, String(SHARD), '0', 'deadly'), '')
      const node = await scene.startNode(options)
      const client = scene.client({ url: node.url, timeout: 30_000 })
      expect(await client.getMany(entries.map(([key]) => key))).toEqual(
        entries.map(([, value]) => value),
      )
      const aside = join(shards, String(SHARD), '0.damaged-1')
      await until('it is made anew', () => existsSync(aside), 60_000)
      await until(
        'every copy is in sync again',
        () => node.topology().shards.every(({ inSync }) => inSync.length === 2),
        60_000,
      )
      const moved = readdirSync(shards).flatMap((shard) => {
        return readdirSync(join(shards, shard)).filter((name) => name.includes('damaged'))
      })
      expect(moved).toEqual(['0.damaged-1'])
      expect(readFileSync(join(aside, 'deadly'), 'utf8')).toBe('xx')
      await until('every child lives', () => {
        return node.topology().children.every(({ state }) => state === 'ready')
      })
    },
    TIMEOUT_MS,
  )
})
