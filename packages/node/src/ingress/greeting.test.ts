import type { Hello } from '@kv/protocol'
import { CLOSE_CODES, PROTOCOL_VERSION } from '@kv/protocol'
import { describe, expect, test } from 'vitest'
import { CLIENT_ID_BLOCK, ClientIds } from './client-ids.js'
import { Greeter } from './greeting.js'

function greeter(token?: string): Greeter {
  const reserve = (): Promise<void> => Promise.resolve()
  const ids = new ClientIds({ next: 5, end: 5 + CLIENT_ID_BLOCK, secret: '07'.repeat(32), reserve })
  return new Greeter(ids, token)
}

const HELLO: Hello = {
  type: 'hello',
  protocolVersion: PROTOCOL_VERSION,
  clientId: 0,
  secret: new Uint8Array(),
  token: '',
  name: 'test',
}

describe('greeting', () => {
  test('a new client → a new identity', () => {
    expect(greeter().judge(HELLO)).toMatchObject({ type: 'accepted', identity: { clientId: 5 } })
  })

  test('the id and secret of an earlier welcome → the same identity (P4)', () => {
    const first = greeter().judge(HELLO)
    if (first.type !== 'accepted') throw new Error('refused')
    const again = greeter().judge({ ...HELLO, ...first.identity })
    expect(again).toEqual({
      type: 'accepted',
      identity: { clientId: 5, secret: Uint8Array.from(first.identity.secret) },
    })
  })

  test('an id with a wrong secret → a new identity', () => {
    const hello = { ...HELLO, clientId: 99, secret: new Uint8Array(32) }
    expect(greeter().judge(hello)).toMatchObject({ identity: { clientId: 5 } })
  })

  test('another protocol version → refused, with both versions named', () => {
    expect(greeter().judge({ ...HELLO, protocolVersion: 9 })).toEqual({
      type: 'refused',
      code: 'PROTOCOL',
      closeCode: CLOSE_CODES.protocol,
      message: `this node speaks protocol ${PROTOCOL_VERSION}, the client 9`,
    })
  })

  test('a token is asked for → no, wrong, longer and right', () => {
    const judge = (token: string): string => greeter('secret').judge({ ...HELLO, token }).type
    expect(['', 'Secret', 'secret2', 'secret'].map(judge)).toEqual([
      'refused',
      'refused',
      'refused',
      'accepted',
    ])
    expect(greeter('secret').judge(HELLO)).toMatchObject({
      code: 'UNAUTHENTICATED',
      closeCode: CLOSE_CODES.unauthenticated,
      message: 'this node asks for a token',
    })
  })
})
