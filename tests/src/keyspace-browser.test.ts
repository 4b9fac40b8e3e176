/**
 * Every call of the client in a real browser, against a real node. The tests run inside the page,
 * before this file declares them: each shows here as what it was there.
 */
import { fileURLToPath } from 'node:url'
import type { UntypedClient } from '@kv/client'
import type { KvNode } from '@kv/node'
import { afterAll, describe, expect, test } from 'vitest'
import { bundleForPage } from './browser/bundle.js'
import type { Found } from './browser/chromium.js'
import { isThere, startChromium } from './browser/chromium.js'
import { hostPage } from './browser/page-host.js'
import type { PageOptions } from './page/keyspace-page.js'
import type { Deed } from './page/outside.js'
import { OUTSIDE } from './page/outside.js'
import type { PageResult } from './page/results.js'
import { readValues, writeValues } from './page/values-across.js'
import type { MessageTap } from './scene/message-tap.js'
import { killNow } from './scene/process-table.js'
import { Scene } from './scene/scene.js'
import { until } from './scene/until.js'

const ENTRY = fileURLToPath(new URL('page/keyspace-page.ts', import.meta.url))
const VITEST_IN_PAGE = fileURLToPath(new URL('page/vitest-in-page.ts', import.meta.url))

const scene = new Scene('a page')
const found = await startChromium()
const run = found.browser === undefined ? undefined : await runThePage(found)
afterAll(async () => {
  await found.browser?.close()
  await scene.end()
})

test('a browser starts: without one nothing of this is tested', ({ skip }) => {
  expect(isThere(found, skip)).toBe(true)
})

if (run !== undefined) describeRun(run)

function describeRun({ results, errors, client }: Run): void {
  describe('in Chromium', () => {
    test('there are as many tests as elsewhere, and nothing went wrong around them', () => {
      expect(results.length).toBeGreaterThan(100)
      expect(errors).toEqual([])
    })

    test('any value that the page wrote reads the same in Node.js', async () => {
      const across = await readValues(client, 'across/page/')
      expect(across.found).toStrictEqual(across.expected)
    })

    test.each(results.map((result) => [result.path.join(' > '), result] as const))(
      '%s',
      (_, { hasPassed, errors: failures }) => {
        expect(failures.join('\n\n')).toBe('')
        expect(hasPassed).toBe(true)
      },
    )
  })
}

interface Run {
  readonly results: readonly PageResult[]
  /** Of the page itself, outside any test. */
  readonly errors: readonly string[]
  readonly client: UntypedClient
}

async function runThePage({ browser }: Extract<Found, { name: string }>): Promise<Run> {
  const node = await scene.startNode({ children: 2 })
  const client = scene.client(node.url)
  await writeValues(client, 'across/node/')
  const tap = await scene.tap(node.url)
  const source = `import { runKeyspace } from ${JSON.stringify(ENTRY)}
    globalThis.runKeyspace = runKeyspace`
  const { code } = await bundleForPage(source, { alias: { vitest: VITEST_IN_PAGE } })
  const port = await hostPage(scene, code)
  const page = await browser.newPage()
  const errors: string[] = []
  page.on('pageerror', (error) => errors.push(String(error)))
  await page.exposeFunction(OUTSIDE, (deed: Deed) => perform(deed, tap, node))
  await page.goto(`http://127.0.0.1:${port}/`)
  const options: PageOptions = { url: node.url, tapUrl: tap.url }
  const results = await page.evaluate<readonly PageResult[]>(
    `runKeyspace(${JSON.stringify(options)})`,
  )
  return { results, errors, client }
}

async function perform(deed: Deed, tap: MessageTap, node: KvNode): Promise<void> {
  switch (deed) {
    case 'hold':
      tap.hold()
      return
    case 'cut':
      tap.cut()
      return
    case 'cut when held':
      await until('the node has answered', () => tap.heldCount >= 2)
      tap.cut()
      tap.release()
      return
    case 'kill a child':
      killNow(node.topology().children[0]?.pid ?? 0)
      return
    default:
      throw new Error(`what is ${String(deed satisfies never)}?`)
  }
}
