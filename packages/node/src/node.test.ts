import { expect, test } from 'vitest'
import { urlOf } from './node.js'

test('node: its url → what a client on this machine can connect to', () => {
  expect(urlOf('127.0.0.1', 7_400)).toBe('kv://127.0.0.1:7400')
  expect(urlOf('0.0.0.0', 7_400)).toBe('kv://127.0.0.1:7400')
  expect(urlOf('::', 7_400)).toBe('kv://[::1]:7400')
  expect(urlOf('db.internal', 1)).toBe('kv://db.internal:1')
})
