/* What the kernel knows of a TCP socket, a row a field.
 *
 * One table makes the public struct, the struct of the BPF programs and, for
 * whoever prints or stores it, names and units.  Included by programs that
 * have no C library: nothing is included here.
 */
#ifndef KERNEL_SOCKETS_FIELDS_H
#define KERNEL_SOCKETS_FIELDS_H

/* X(bits, name, unit, line); 64-bit rows first, an even number of 32-bit
 * rows: no padding. */
#define KERNEL_TCP_FIELDS(X)                                                  \
	X(64, bytes_sent, "bytes", "payload sent, retransmissions included")  \
	X(64, bytes_acked, "bytes", "acknowledged by the peer, SYN excluded") \
	X(64, bytes_received, "bytes", "payload received in order")           \
	X(64, bytes_retrans, "bytes", "payload sent again")                   \
	X(64, bytes_queued, "bytes", "taken from the application")            \
	X(64, bytes_consumed, "bytes",                                        \
	  "given to the application, by any "                                 \
	  "way")                                                              \
	X(64, pacing_rate, "bytes/s", "at which it may send; all ones: any")  \
	X(64, delivery_rate, "bytes/s", "last measured by the kernel")        \
	X(64, busy_us, "us", "had data to send")                              \
	X(64, rwnd_limited_us, "us", "waited for the peer's window")          \
	X(64, sndbuf_limited_us, "us", "waited for its send buffer")          \
	X(32, srtt_us, "us", "smoothed round trip")                           \
	X(32, rttvar_us, "us", "its mean deviation")                          \
	X(32, min_rtt_us, "us", "least round trip of its window; 0: none")    \
	X(32, rto_us, "us", "retransmission timeout")                         \
	X(32, cwnd, "segments", "congestion window")                          \
	X(32, ssthresh, "segments", "slow start threshold")                   \
	X(32, snd_wnd, "bytes", "window the peer offers")                     \
	X(32, rcv_wnd, "bytes", "window offered to the peer")                 \
	X(32, snd_wscale, "bits", "shift of the peer's window")               \
	X(32, rcv_wscale, "bits", "shift of the own window")                  \
	X(32, mss, "bytes", "segment size to send")                           \
	X(32, rcv_mss, "bytes", "segment size seen to come")                  \
	X(32, advmss, "bytes", "segment size told to the peer")               \
	X(32, segs_out, "segments", "sent")                                   \
	X(32, segs_in, "segments", "received")                                \
	X(32, data_segs_out, "segments", "sent with payload")                 \
	X(32, data_segs_in, "segments", "received with payload")              \
	X(32, retrans_segs, "segments", "sent again")                         \
	X(32, retrans_rto, "segments", "of these, after a timeout")           \
	X(32, retrans_tlp, "segments", "of these, as tail loss probes")       \
	X(32, delivered, "segments", "delivered, SACKed ones included")       \
	X(32, delivered_ce, "segments", "of these, marked by ECN")            \
	X(32, lost, "segments", "taken for lost now")                         \
	X(32, in_flight, "segments", "sent and not yet delivered")            \
	X(32, reordering, "segments", "degree assumed")                       \
	X(32, reord_seen, "events", "of reordering")                          \
	X(32, dsack_dups, "segments", "the peer had twice")                   \
	X(32, ca_state, "", "0 open, 1 disorder, 2 CWR, 3 recovery, 4 loss")  \
	X(32, backoff, "", "doublings of the timeout")                        \
	X(32, probes_out, "probes", "of a zero window, unanswered")           \
	X(32, snd_una, "", "first sequence number not acknowledged")          \
	X(32, snd_nxt, "", "next sequence number to send")                    \
	X(32, rcv_nxt, "", "next sequence number expected")                   \
	X(32, isn, "", "own initial sequence number; see 'isn_known'")        \
	X(32, peer_isn, "", "the peer's; see 'isn_known'")                    \
	X(32, notsent, "bytes", "taken and not yet sent")                     \
	X(32, isn_known, "", "1: both are; 0: opened before the start")       \
	X(32, ulp, "", "1: a protocol such as TLS or MPTCP is on top")

/* What the kernel knows of every socket's buffers. */
#define KERNEL_BUFFER_FIELDS(X)                                 \
	X(32, rcvbuf, "bytes", "limit of the receive buffer")   \
	X(32, rmem, "bytes", "memory of what waits to be read") \
	X(32, sndbuf, "bytes", "limit of the send buffer")      \
	X(32, wmem, "bytes", "memory of what waits to be sent") \
	X(32, forward, "bytes", "memory reserved ahead")        \
	X(32, drops, "packets", "that found no room in it")

#endif
