/**
 * The example of docs/guide/browser.md, run as it stands there.
 */
import { expect, test } from 'vitest'
import { bundleForPage } from './browser/bundle.js'
import { isThere, startChromium } from './browser/chromium.js'
import { hostPage } from './browser/page-host.js'
import { sceneOfTest } from './scene/scene.js'
import { readText } from './tidy/source-files.js'

const ADDRESS = 'kv://127.0.0.1:7400'

test('docs/guide/browser.md: the example counts views in a page', async ({ skip }) => {
  const found = await startChromium()
  if (!isThere(found, skip)) return
  const scene = sceneOfTest()
  scene.onEnd(() => found.browser.close())
  const guide = readText('docs/guide/browser.md') ?? ''
  const [, example = ''] = /```js\n([\s\S]*?)```/.exec(guide) ?? []
  expect(example).toContain(ADDRESS)
  const { url } = await scene.startNode({ children: 1 })
  const { code } = await bundleForPage(example.replace(ADDRESS, url))
  const port = await hostPage(scene, code)
  for (const views of [1, 2]) {
    const page = await found.browser.newPage()
    await page.goto(`http://localhost:${port}/`)
    await page.getByText(`${views} views`).waitFor()
    await page.close()
  }
})
