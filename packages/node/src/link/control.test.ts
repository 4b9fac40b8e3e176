import { expect, test } from 'vitest'
import { isControl } from './control.js'

test.each([
  [{ type: 'ping', nonce: 1 }, true],
  [{ cmd: 'NODE_HANDLE' }, false],
  ['ping', false],
  [null, false],
  [undefined, false],
])('control: %j came over IPC → a message of ours: %s', (message, isOurs) => {
  expect(isControl(message)).toBe(isOurs)
})
