/**
 * Proofs of client ids. A secret is an HMAC of the id: every process of this data directory can check
 * it, and none has to remember it (hard-parts 16).
 */
import { createHmac, timingSafeEqual } from 'node:crypto'

export class ClientSecrets {
  private readonly key: Buffer

  /** `secret` is hexadecimal. */
  constructor(secret: string) {
    this.key = Buffer.from(secret, 'hex')
  }

  of(clientId: number): Buffer {
    return createHmac('sha256', this.key).update(`client ${clientId}`).digest()
  }

  /** Whether this secret was given out with this id. */
  isGenuine(clientId: number, secret: Uint8Array): boolean {
    const due = this.of(clientId)
    return secret.length === due.length && timingSafeEqual(secret, due)
  }
}
