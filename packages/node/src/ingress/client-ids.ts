/**
 * Gives out client ids: growing, also through restarts, each with a secret that proves it.
 *
 * Ids come from blocks. A block is persisted before its first id is given out, so a new
 * coordinator begins above every id of its predecessors and writes only once per block. The secret
 * is an HMAC of the id: any later coordinator of this data directory can check it, none has to
 * remember it (hard-parts 16).
 */
import { createHmac, timingSafeEqual } from 'node:crypto'

/** Ids reserved at once. A restart wastes what is left of a block. */
export const CLIENT_ID_BLOCK = 65_536

export interface ClientIdSource {
  /** Ids from `next` up to, not including, `end` are reserved. */
  readonly next: number
  readonly end: number
  /** Hexadecimal. */
  readonly secret: string
  /** Makes a higher end durable. */
  readonly reserve: (end: number) => Promise<void>
}

export interface ClientIdentity {
  readonly clientId: number
  readonly secret: Uint8Array
}

export class ClientIds {
  private next: number
  private end: number
  private readonly key: Buffer
  private readonly reserve: (end: number) => Promise<void>
  private isReserving = false

  constructor(source: ClientIdSource) {
    this.next = source.next
    this.end = source.end
    this.key = Buffer.from(source.secret, 'hex')
    this.reserve = source.reserve
  }

  /** A new identity; `undefined` while no id is reserved. */
  issue(): ClientIdentity | undefined {
    if (this.end - this.next < CLIENT_ID_BLOCK / 2) this.extend()
    if (this.next >= this.end) return undefined
    const clientId = this.next
    this.next += 1
    return { clientId, secret: this.secretOf(clientId) }
  }

  /** Whether this secret was given out with this id. */
  isGenuine(clientId: number, secret: Uint8Array): boolean {
    const due = this.secretOf(clientId)
    return secret.length === due.length && timingSafeEqual(secret, due)
  }

  private secretOf(clientId: number): Buffer {
    return createHmac('sha256', this.key).update(`client ${clientId}`).digest()
  }

  private extend(): void {
    if (this.isReserving) return
    this.isReserving = true
    const end = this.end + CLIENT_ID_BLOCK
    this.reserve(end)
      .then(() => {
        this.end = end
      })
      // The next id asked for tries again; what is reserved already is still good.
      .catch(() => {})
      .finally(() => {
        this.isReserving = false
      })
  }
}
