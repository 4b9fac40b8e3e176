/**
 * The page of the demo, as somebody uses it: `npm start -- --serve` and a browser.
 *
 * Screenshots go to the folder that `KV_SCREENSHOTS` names, if it does.
 */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Found } from './browser/chromium.js'
import { isThere, startChromium } from './browser/chromium.js'
import { request } from './scene/http-request.js'
import { Scene } from './scene/scene.js'
import { until } from './scene/until.js'

const DEMO = fileURLToPath(new URL('../../apps/demo/dist/main.js', import.meta.url))
const START_MS = 120_000
const ADDRESS = /(http:\/\/127\.0\.0\.1:\d+\/) in your browser/

const scene = new Scene('the page of the demo')
let found: Found
let address = ''

beforeAll(async () => {
  found = await startChromium()
  if (found.browser === undefined) return
  const { browser } = found
  scene.onEnd(() => browser.close())
  address = await serveDemo()
}, START_MS)
afterAll(() => scene.end())

/** Starts the demo; resolves with where its page is. */
async function serveDemo(): Promise<string> {
  const args = [DEMO, '--serve', '--children', '3', '--limit', '5000']
  const demo = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const exited = new Promise((resolve) => demo.once('exit', resolve))
  scene.onEnd(async () => {
    demo.kill('SIGTERM')
    await exited
  })
  let output = ''
  demo.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    output += chunk
  })
  return until('the demo serves its page', () => ADDRESS.exec(output)?.[1], START_MS)
}

/** A page that has loaded, and what went wrong on it. */
async function open(browser: Browser, options: Parameters<Browser['newPage']>[0] = {}) {
  const page = await browser.newPage(options)
  scene.onEnd(() => page.close())
  const problems: string[] = []
  page.on('pageerror', (error) => problems.push(String(error)))
  page.on('console', (message) => {
    if (message.type() === 'error') problems.push(message.text())
  })
  await page.goto(address)
  await page.getByRole('status').getByText('ready').waitFor()
  return { page, problems }
}

async function photograph(page: Page, name: string): Promise<void> {
  const folder = process.env['KV_SCREENSHOTS']
  const path = folder === undefined ? undefined : join(folder, `${name}.png`)
  const bytes = await page.screenshot({ fullPage: true, ...(path === undefined ? {} : { path }) })
  // A page that shows nothing is a few kilobytes.
  expect(bytes.length).toBeGreaterThan(20_000)
}

async function openCity(page: Page, typed: string): Promise<void> {
  await page.getByRole('combobox').fill(typed)
  await page.getByRole('option').first().waitFor()
  await page.getByRole('combobox').press('Enter')
  await page.locator('[data-fact=key]').waitFor()
}

describe('the page of the demo', () => {
  test('its few files are served, with a policy that names the node, and nothing else', async ({
    skip,
  }) => {
    if (!isThere(found, skip)) return
    const document = await fetch(address)
    expect(document.status).toBe(200)
    const node = /content="kv:\/\/(127\.0\.0\.1:\d+)"/.exec(await document.text())?.[1]
    expect(document.headers.get('content-security-policy')).toContain(`connect-src ws://${node} `)
    for (const path of ['package.json', '../main.js', '%2e%2e/main.js', 'assets', 'src/main.ts']) {
      expect((await request(address + path, {})).status).toBe(404)
    }
    expect((await request(address, {}, 'POST')).status).toBe(404)
  })

  test('type-ahead with the keyboard alone, and the record behind a hit', async ({ skip }) => {
    if (!isThere(found, skip)) return
    const { page, problems } = await open(found.browser)
    const field = page.getByRole('combobox')
    await field.pressSequentially('sao p')
    await page
      .getByRole('option', { name: /São Paulo.*Brazil/ })
      .first()
      .waitFor()
    await field.press('ArrowDown')
    expect(await page.locator('[aria-selected=true]').innerText()).toContain('São Paulo')
    await field.press('Enter')
    const record = page.locator('#record')
    await record.getByRole('heading', { name: /São Paulo.*Brazil/ }).waitFor()
    expect(await record.locator('[data-fact=key]').innerText()).toMatch(/^city:\d+$/)
    await field.press('Escape')
    expect(await page.getByRole('option').count()).toBe(0)
    expect(problems).toEqual([])
  })

  test('an edit is written; one over a newer version is refused and shows both', async ({
    skip,
  }) => {
    if (!isThere(found, skip)) return
    const { page, problems } = await open(found.browser, {
      colorScheme: 'dark',
      viewport: { width: 1280, height: 900 },
    })
    await openCity(page, 'zurich')
    const population = page.getByLabel('Population')
    await population.fill('400000')
    await page.getByRole('button', { name: 'Save' }).click()
    await page.getByText(/Saved as version/).waitFor()
    expect(await page.locator('[data-fact=population]').innerText()).toBe('400,000')

    await page.getByRole('button', { name: 'Let somebody else change it' }).click()
    await page.getByText(/Somebody else wrote version/).waitFor()
    await population.fill('500000')
    await page.getByRole('button', { name: 'Save' }).click()
    await page.getByText('Somebody else was faster').waitFor()
    expect(await page.locator('[data-side=yours]').innerText()).toContain('500,000')
    expect(await page.locator('[data-side=stored]').innerText()).toContain('400,001')
    await photograph(page, 'conflict-dark')

    await page.getByRole('button', { name: 'Write mine' }).click()
    await page.getByText(/Saved as version/).waitFor()
    expect(await page.locator('[data-fact=population]').innerText()).toBe('500,000')
    expect(problems).toEqual([])
  })

  test('P6: what one page saves, the other one hears of at once', async ({ skip }) => {
    if (!isThere(found, skip)) return
    const { page: reader, problems } = await open(found.browser)
    await reader.getByText('Nothing has changed').waitFor()
    const { page: writer } = await open(found.browser)
    await openCity(writer, 'lagos')
    for (const population of [1_000_001, 1_000_002]) {
      await writer.getByLabel('Population').fill(String(population))
      await writer.getByRole('button', { name: 'Save' }).click()
      const change = reader.locator('[data-change=set]').first()
      await change.getByText(population.toLocaleString('en-US')).waitFor()
      expect(await change.innerText()).toContain('Lagos')
    }
    expect(await reader.locator('[data-change]').count()).toBe(2)
    expect(problems).toEqual([])
  })

  test('the map shows every child with its process, and what is going on', async ({ skip }) => {
    if (!isThere(found, skip)) return
    const { page, problems } = await open(found.browser, { viewport: { width: 1280, height: 900 } })
    await page.locator('[data-child="3"]').waitFor()
    const cards = await page.locator('[data-child]').allInnerTexts()
    expect(cards).toHaveLength(3)
    for (const card of cards) expect(card).toMatch(/pid \d+/)
    await page.getByRole('button', { name: 'Read cities at random' }).click()
    for (const child of [1, 2, 3]) {
      const busy = page.locator(`[data-child="${child}"] .rate`, { hasText: /^[1-9]/ })
      await busy.first().waitFor()
    }
    await openCity(page, 'new')
    await page.getByRole('button', { name: 'Let somebody else change it' }).click()
    await page.locator('[data-change=set]').waitFor()
    await photograph(page, 'light')
    expect(problems).toEqual([])
  })

  test('on a telephone everything stands in one column, and nothing is cut off', async ({
    skip,
  }) => {
    if (!isThere(found, skip)) return
    const { page } = await open(found.browser, { viewport: { width: 390, height: 844 } })
    await openCity(page, 'mos')
    await page.locator('[data-child="1"]').waitFor()
    const overflow = 'document.documentElement.scrollWidth - innerWidth'
    expect(await page.evaluate<number>(overflow)).toBeLessThanOrEqual(0)
    await photograph(page, 'telephone')
  })
})
