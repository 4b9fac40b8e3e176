/**
 * Which pages a node lets in, by a browser's own account of where a page comes from.
 */
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { bundleForPage } from './browser/bundle.js'
import type { Found } from './browser/chromium.js'
import { isThere, startChromium } from './browser/chromium.js'
import { hostPage } from './browser/page-host.js'
import { Scene } from './scene/scene.js'

const PAGE = `
  import { createClient } from '@kv/client'
  globalThis.connect = async (options) => {
    const client = createClient(options)
    const outcome = await client.connect().then(() => 'connected', (error) => error.code)
    await client.close()
    return outcome
  }
  globalThis.ask = (url) => fetch(url).then(({ status }) => status, () => 'hidden')
`
const FOREIGN = 'evil.example'
const LISTED = 'app.example'

const scene = new Scene('origins')
let found: Found
let port = 0

beforeAll(async () => {
  found = await startChromium({ hostsHere: [FOREIGN, LISTED] })
  port = await hostPage(scene, (await bundleForPage(PAGE)).code)
})
afterAll(async () => {
  await found.browser?.close()
  await scene.end()
})

/** What a call of the page comes to, on a page of this host. */
async function onPage(
  browser: Browser,
  host: string,
  call: 'ask' | 'connect',
  argument: unknown,
): Promise<unknown> {
  const page = await browser.newPage()
  try {
    await page.goto(`http://${host}:${port}/`)
    return await page.evaluate(`${call}(${JSON.stringify(argument)})`)
  } finally {
    await page.close()
  }
}

describe('origins', () => {
  test('pages of this machine connect; of others only those listed', async ({ skip }) => {
    if (!isThere(found, skip)) return
    const { browser } = found
    const node = await scene.startNode({ children: 1, origins: [`http://${LISTED}:${port}`] })
    const outcomes = ['127.0.0.1', 'localhost', LISTED, FOREIGN].map((host) =>
      onPage(browser, host, 'connect', node.url),
    )
    expect(await Promise.all(outcomes)).toEqual([
      'connected',
      'connected',
      'connected',
      'UNAVAILABLE',
    ])
  })

  test('a foreign name that leads here (DNS rebinding) opens nothing', async ({ skip }) => {
    if (!isThere(found, skip)) return
    const node = await scene.startNode({ children: 1 })
    const rebound = `${FOREIGN}:${node.port}`
    const { browser } = found
    expect(await onPage(browser, FOREIGN, 'connect', `kv://${rebound}`)).toBe('UNAVAILABLE')
    expect(await onPage(browser, FOREIGN, 'ask', `http://${rebound}/stats`)).toBe('hidden')
    expect(await onPage(browser, 'localhost', 'ask', `http://${rebound}/stats`)).toBe('hidden')
    const stats = `http://127.0.0.1:${node.port}/stats`
    expect(await onPage(browser, 'localhost', 'ask', stats)).toBe(200)
  })

  test('with a token: a page of the node’s own host comes in if it shows it', async ({ skip }) => {
    if (!isThere(found, skip)) return
    const { browser } = found
    const node = await scene.startNode({ children: 1, token: 'open sesame' })
    const url = `kv://${LISTED}:${node.port}`
    const shown = { url, token: 'open sesame' }
    expect(await onPage(browser, LISTED, 'connect', shown)).toBe('connected')
    expect(await onPage(browser, LISTED, 'connect', { url })).toBe('UNAUTHENTICATED')
    expect(await onPage(browser, FOREIGN, 'connect', shown)).toBe('UNAVAILABLE')
  })
})
