/**
 * A commit of LMDB that fails although its pages were reserved: memory of the child may be
 * overwritten, so the child must not go on.
 */
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { sceneOfTest } from './scene/scene.js'
import { until } from './scene/until.js'

const NODE_PACKAGE = import.meta.resolve('@kv/node')
const TIMEOUT_MS = 60_000

/** Loaded before the program: the first commit of the first child fails, as if by an I/O error. */
function failsOnce(marker: string): string {
  return `
    import { existsSync, writeFileSync } from 'node:fs'
    const marker = ${JSON.stringify(marker)}
    if (process.argv[1]?.endsWith('main.js') && process.connected && !existsSync(marker)) {
      const at = (path) => new URL(path, ${JSON.stringify(NODE_PACKAGE)}).href
      const { State } = await import(at('shard/state/state.js'))
      const { CommitFailed } = await import(at('shard/state/commit-failure.js'))
      State.prototype.commit = async () => {
        writeFileSync(marker, '')
        throw new CommitFailed('the state could not be stored: I/O error')
      }
    }`
}

describe('a commit of the stored state fails', () => {
  test(
    '→ the child says why and ends, another takes over, nothing acknowledged is lost (P1)',
    async () => {
      const scene = sceneOfTest()
      const directory = await scene.directory()
      const script = encodeURIComponent(failsOnce(join(directory, 'failed')))
      const node = await scene.serve({
        directory: join(directory, 'node'),
        children: 1,
        shards: 2,
        environment: {
          NODE_OPTIONS: `--conditions=modules --import=data:text/javascript,${script}`,
        },
      })
      const client = scene.client(node.url)
      const entries = Array.from({ length: 100 }, (_, index) => [`key/${index}`, index] as const)
      await client.setMany(entries)
      await until('the child has ended', () => node.log.includes('a commit of lmdb 3.5.6 failed'))
      expect(await client.getMany(entries.map(([key]) => key))).toEqual(
        entries.map(([, value]) => value),
      )
      expect((await client.set('after', true)).ok).toBe(true)
    },
    TIMEOUT_MS,
  )
})
