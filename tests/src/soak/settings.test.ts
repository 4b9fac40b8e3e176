import { expect, test } from 'vitest'
import { settingsFrom, USAGE } from './settings.js'

test('nothing → the defaults', () => {
  const settings = settingsFrom([])
  expect(settings).toMatchObject({ minutes: 3, children: 2, most: 3, keys: 60_000 })
  expect(settings?.seed).toBeGreaterThan(0)
})

test('options → as they say', () => {
  const options = ['--minutes', '0.5', '--most=5', '--seed', '7', '--json', 'out.json']
  expect(settingsFrom(options)).toMatchObject({ minutes: 0.5, most: 5, seed: 7, json: 'out.json' })
})

test('help → no run', () => {
  expect(settingsFrom(['--help'])).toBeUndefined()
})

test.each([
  { options: ['--keyz', '5'], said: '--keyz' },
  { options: ['--keys', 'many'], said: '--keys is a whole number, not many' },
  { options: ['--minutes', '0'], said: '--minutes is a number above 0, not 0' },
  { options: ['often'], said: 'often' },
])('$options → an error that names it', ({ options, said }) => {
  expect(() => settingsFrom(options)).toThrow(TypeError)
  expect(() => settingsFrom(options)).toThrow(said)
})

test('the usage names every option', () => {
  for (const name of ['minutes', 'children', 'most', 'keys', 'seed', 'json']) {
    expect(USAGE).toContain(`--${name} <`)
  }
})
