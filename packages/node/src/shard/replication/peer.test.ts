import { expect, test } from 'vitest'
import { Peer, UNSYNCED_BYTES_MAX } from './peer.js'

test('P7: sent and not synced up to the limit → no room, until the peer has synced some of it', () => {
  const peer = new Peer(1)
  const frame = UNSYNCED_BYTES_MAX / 4
  for (let revision = 1; revision <= 4; revision += 1) {
    expect(peer.hasRoom).toBe(true)
    peer.sent(revision, frame)
  }
  expect(peer.hasRoom).toBe(false)
  expect(peer.synced(1)).toBe(true)
  expect(peer.hasRoom).toBe(true)
  expect(peer.unsyncedRevision).toBe(2)
})
