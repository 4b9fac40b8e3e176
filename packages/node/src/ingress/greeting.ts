/**
 * Judges the first message of a connection: who the client is and whether it may come in.
 *
 * A client that shows the id and secret of an earlier WELCOME goes on with that identity, and with
 * it its unanswered writes (P4). Any other gets a new one: a secret of a directory that was made
 * anew is no crime, and the client sees from the id that its past is unknown here.
 */
import { CLOSE_CODES, PROTOCOL_VERSION } from '@kv/protocol'
import type { ErrorCode, Hello } from '@kv/protocol'
import { tokenCheck } from './token.js'

export interface ClientIdentity {
  readonly clientId: number
  readonly secret: Uint8Array
}

export interface Identities {
  /** Whether this secret was given out with this id. */
  isGenuine(clientId: number, secret: Uint8Array): boolean
  /** A new identity, if there is one to give. */
  issue(): ClientIdentity | undefined
  readonly whyNone: string
}

export type Greeting =
  | { readonly type: 'accepted'; readonly identity: ClientIdentity }
  | {
      readonly type: 'refused'
      readonly code: ErrorCode
      readonly closeCode: number
      readonly message: string
    }

export class Greeter {
  private readonly ids: Identities
  private readonly isTokenRight: (shown: string) => boolean

  constructor(ids: Identities, token: string | undefined) {
    this.ids = ids
    this.isTokenRight = tokenCheck(token)
  }

  judge(hello: Hello): Greeting {
    if (hello.protocolVersion !== PROTOCOL_VERSION) {
      return {
        type: 'refused',
        code: 'PROTOCOL',
        closeCode: CLOSE_CODES.protocol,
        message: `this node speaks protocol ${PROTOCOL_VERSION}, the client ${hello.protocolVersion}`,
      }
    }
    if (!this.isTokenRight(hello.token)) {
      return {
        type: 'refused',
        code: 'UNAUTHENTICATED',
        closeCode: CLOSE_CODES.unauthenticated,
        message: hello.token === '' ? 'this node asks for a token' : 'the token is wrong',
      }
    }
    const identity = this.identify(hello)
    if (identity === undefined) {
      return {
        type: 'refused',
        code: 'OVERLOADED',
        closeCode: CLOSE_CODES.tryLater,
        message: this.ids.whyNone,
      }
    }
    return { type: 'accepted', identity }
  }

  private identify(hello: Hello): ClientIdentity | undefined {
    const isKnown = hello.clientId !== 0 && this.ids.isGenuine(hello.clientId, hello.secret)
    // A copy: the message's memory is shared with whatever else its network packet brought.
    return isKnown
      ? { clientId: hello.clientId, secret: Uint8Array.from(hello.secret) }
      : this.ids.issue()
  }
}
