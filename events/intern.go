package events

import (
	"strconv"

	"rtpjet/events/compactjson"
)

// The strings that nearly every call has are not kept once a call: a switch over constants finds them without a lock, and
// without an allocation.

// intern returns the text as a string, which for the usual words of media sections takes no memory.
func intern(b []byte) string {
	if s, ok := word(b); ok {
		return s
	}
	return string(b)
}

func word(b []byte) (s string, ok bool) {
	switch string(b) {
	case "":
		return "", true
	case "-":
		return "-", true

	case "audio":
		return "audio", true
	case "video":
		return "video", true
	case "image":
		return "image", true
	case "message":
		return "message", true
	case "application":
		return "application", true
	case "text":
		return "text", true

	case "RTP/AVP":
		return "RTP/AVP", true
	case "RTP/AVPF":
		return "RTP/AVPF", true
	case "RTP/SAVP":
		return "RTP/SAVP", true
	case "RTP/SAVPF":
		return "RTP/SAVPF", true
	case "UDP/TLS/RTP/SAVP":
		return "UDP/TLS/RTP/SAVP", true
	case "UDP/TLS/RTP/SAVPF":
		return "UDP/TLS/RTP/SAVPF", true
	case "udptl":
		return "udptl", true

	case "sendrecv":
		return "sendrecv", true
	case "sendonly":
		return "sendonly", true
	case "recvonly":
		return "recvonly", true
	case "inactive":
		return "inactive", true

	case "default":
		return "default", true
	case "internal":
		return "internal", true
	case "external":
		return "external", true
	case "public":
		return "public", true
	case "private":
		return "private", true
	case "pub":
		return "pub", true
	case "priv":
		return "priv", true
	case "int":
		return "int", true
	case "ext":
		return "ext", true
	case "lan":
		return "lan", true
	case "wan":
		return "wan", true

	case "off":
		return "off", true
	case "immediate":
		return "immediate", true
	case "delayed":
		return "delayed", true
	case "heuristic":
		return "heuristic", true
	case "blackhole":
		return "blackhole", true
	case "echo":
		return "echo", true
	}
	return payloadType(b)
}

// codecName is intern for encoding names.
func codecName(b []byte) (s string, ok bool) {
	switch string(b) {
	case "PCMU":
		return "PCMU", true
	case "PCMA":
		return "PCMA", true
	case "telephone-event":
		return "telephone-event", true
	case "G722":
		return "G722", true
	case "G729":
		return "G729", true
	case "opus":
		return "opus", true
	case "CN":
		return "CN", true
	case "GSM":
		return "GSM", true
	case "iLBC":
		return "iLBC", true
	case "speex":
		return "speex", true
	case "G723":
		return "G723", true
	case "G728":
		return "G728", true
	case "G726-16":
		return "G726-16", true
	case "G726-24":
		return "G726-24", true
	case "G726-32":
		return "G726-32", true
	case "G726-40":
		return "G726-40", true
	case "AMR":
		return "AMR", true
	case "AMR-WB":
		return "AMR-WB", true
	case "EVS":
		return "EVS", true
	case "L16":
		return "L16", true
	case "red":
		return "red", true
	case "H261":
		return "H261", true
	case "H263":
		return "H263", true
	case "H263-1998":
		return "H263-1998", true
	case "H264":
		return "H264", true
	case "H265":
		return "H265", true
	case "VP8":
		return "VP8", true
	case "VP9":
		return "VP9", true
	case "AV1":
		return "AV1", true
	case "rtx":
		return "rtx", true
	case "ulpfec":
		return "ulpfec", true
	case "flexfec-03":
		return "flexfec-03", true
	case "t140":
		return "t140", true
	}
	return "", false
}

// parameters is intern for format parameters.
func parameters(b []byte) (s string, ok bool) {
	switch string(b) {
	case "0-15":
		return "0-15", true
	case "0-16":
		return "0-16", true
	case "0-11":
		return "0-11", true
	case "annexb=no":
		return "annexb=no", true
	case "annexb=yes":
		return "annexb=yes", true
	case "mode=20":
		return "mode=20", true
	case "mode=30":
		return "mode=30", true
	case "octet-align=1":
		return "octet-align=1", true
	case "octet-align=0":
		return "octet-align=0", true
	case "useinbandfec=1":
		return "useinbandfec=1", true
	case "minptime=10;useinbandfec=1":
		return "minptime=10;useinbandfec=1", true
	case "minptime=10; useinbandfec=1":
		return "minptime=10; useinbandfec=1", true
	case "111/111":
		return "111/111", true
	case "profile-id=0":
		return "profile-id=0", true
	case "profile-id=2":
		return "profile-id=2", true
	case "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f":
		return "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f", true
	case "level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42001f":
		return "level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42001f", true
	case "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f":
		return "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f", true
	case "level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42e01f":
		return "level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42e01f", true
	}
	return "", false
}

// suite is intern for the names of SRTP suites.
func suite(b []byte) string {
	switch string(b) {
	case "AES_CM_128_HMAC_SHA1_80":
		return "AES_CM_128_HMAC_SHA1_80"
	case "AES_CM_128_HMAC_SHA1_32":
		return "AES_CM_128_HMAC_SHA1_32"
	case "AES_192_CM_HMAC_SHA1_80":
		return "AES_192_CM_HMAC_SHA1_80"
	case "AES_192_CM_HMAC_SHA1_32":
		return "AES_192_CM_HMAC_SHA1_32"
	case "AES_256_CM_HMAC_SHA1_80":
		return "AES_256_CM_HMAC_SHA1_80"
	case "AES_256_CM_HMAC_SHA1_32":
		return "AES_256_CM_HMAC_SHA1_32"
	case "AEAD_AES_128_GCM":
		return "AEAD_AES_128_GCM"
	case "AEAD_AES_256_GCM":
		return "AEAD_AES_256_GCM"
	case "F8_128_HMAC_SHA1_80":
		return "F8_128_HMAC_SHA1_80"
	case "F8_128_HMAC_SHA1_32":
		return "F8_128_HMAC_SHA1_32"
	case "NULL_HMAC_SHA1_80":
		return "NULL_HMAC_SHA1_80"
	case "NULL_HMAC_SHA1_32":
		return "NULL_HMAC_SHA1_32"
	}
	return string(b)
}

const overHundred = "100101102103104105106107108109110111112113114115116117118119120121122123124125126127"

// payloadType finds the decimal form of a payload type, 0 to 127: what an m= line lists, and what the apt of an rtx says.
func payloadType(b []byte) (s string, ok bool) {
	n, ok := compactjson.Decimal(b, 3)
	switch {
	case !ok || n > 127:
		return "", false
	case n < 100:
		return strconv.Itoa(int(n)), true // which has these ready
	}
	return overHundred[3*(n-100) : 3*(n-99)], true
}
