// The handshake of a connection, by OpenSSL; what it leaves behind is all that the connection needs of it.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "receive_buffer.h"
#include "record_key.h"
#include "stoppable_socket.h"
#include "tls_context.h"

namespace ferry {

struct TlsSession {
  std::unique_ptr<RecordKey> sealing;
  std::unique_ptr<RecordKey> opening;
  std::vector<std::uint8_t> peer_certificate;  // DER
  std::vector<std::uint8_t> channel_binding;   // the same on both sides of this connection, and of no other
};

// What comes behind the peer's handshake stays in `input`. Tells the peer why when it fails.
TlsSession ShakeHands(const TlsContext& context, bool as_client, StoppableSocket& socket, ReceiveBuffer& input);

// Once for each context, before its first handshake: the secrets of its connections are handed to ShakeHands.
void HandOutSecrets(SSL_CTX* context);

}  // namespace ferry
