import { expect, test } from 'vitest'
import { BATCH_HEADROOM_BYTES } from './batch-body.js'
import * as limits from './limits.js'

test('limits: the largest value and key with the longest head → fit one message', () => {
  const options = 64
  expect(limits.MESSAGE_BYTES_MAX).toBeGreaterThanOrEqual(
    limits.VALUE_BYTES_MAX + limits.KEY_BYTES_MAX + BATCH_HEADROOM_BYTES + options,
  )
})

test('limits: a full page with one more of the largest values → fits one reply', () => {
  expect(limits.MESSAGE_BYTES_MAX).toBeGreaterThanOrEqual(
    limits.PAGE_BYTES_SOFT + limits.VALUE_BYTES_MAX,
  )
})

test('limits: a HELLO with the longest texts → fits what is taken before HELLO', () => {
  expect(limits.HELLO_BYTES_MAX).toBeGreaterThan(2 * limits.HELLO_TEXT_BYTES_MAX + 128)
  expect(limits.HELLO_BYTES_MAX).toBeLessThan(limits.MESSAGE_BYTES_MAX)
})

test('limits: what may be in flight → several messages of the largest size', () => {
  expect(limits.IN_FLIGHT_BYTES_MAX).toBeGreaterThanOrEqual(4 * limits.MESSAGE_BYTES_MAX)
})

test('limits: a batch closed at its soft size → far below a message, also with its last call', () => {
  expect(limits.BATCH_BYTES_SOFT + limits.VALUE_BYTES_MAX + limits.KEY_BYTES_MAX).toBeLessThan(
    limits.MESSAGE_BYTES_MAX,
  )
})

test('limits: a batch closed at its soft size, with the largest atomic batch → fits one message', () => {
  expect(
    limits.BATCH_BYTES_SOFT +
      limits.VALUE_BYTES_MAX +
      limits.CALL_SPARE_BYTES +
      BATCH_HEADROOM_BYTES,
  ).toBeLessThan(limits.MESSAGE_BYTES_MAX)
})

test('limits: a WELCOME with the most shards and children → fits one message', () => {
  const bytesPerShard = 5 + 9
  const bytesPerChild = 1 + 9 + 3
  expect(limits.SHARDS_MAX * bytesPerShard + limits.CHILDREN_MAX * bytesPerChild).toBeLessThan(
    limits.MESSAGE_BYTES_MAX / 2,
  )
  expect(Math.log2(limits.SHARDS_MAX) % 1).toBe(0)
})
