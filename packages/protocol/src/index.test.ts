import { expect, test } from 'vitest'

test('protocol: the public entry loads', async () => {
  expect(await import('./index.js')).toBeDefined()
})
