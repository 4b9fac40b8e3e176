/**
 * The failpoints fit the built node: a point whose place is gone would never be passed.
 */
import { expect, test } from 'vitest'
import { FAILPOINTS } from './failpoints.js'
import { installFailpoints } from './install.js'

const passes = { pass: () => undefined }

test('there are at least 36, each with a name of its own', () => {
  expect(FAILPOINTS.length).toBeGreaterThanOrEqual(36)
  expect(new Set(FAILPOINTS.map(({ name }) => name)).size).toBe(FAILPOINTS.length)
})

test.each(['child', 'coordinator'] as const)('each of a %s has its place', async (role) => {
  await expect(installFailpoints(role, passes)).resolves.toBeTypeOf('function')
})

test('a place that is gone → an error that names it', async () => {
  const [point] = FAILPOINTS
  const place = { type: 'method', file: 'shard/log/log.js', of: 'Log', method: 'gone' } as const
  const gone = { ...point!, role: 'child', place } as const
  await expect(installFailpoints('child', passes, [gone])).rejects.toThrow(/gone/)
})
