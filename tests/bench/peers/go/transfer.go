package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"log"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Where videos go. put ends only when the video is durable under its name.
type sink interface {
	put(key string, length int64, from io.Reader, buffer []byte) error
	uri(key string) string
}

func newSink(s settings, client *http.Client) (sink, error) {
	at, err := url.Parse(s.storage)
	if err != nil {
		return nil, err
	}
	if at.Scheme == "file" {
		return folder(at.Path), os.MkdirAll(at.Path, 0o755)
	}
	query := at.Query()
	endpoint, err := url.Parse(query.Get("endpoint"))
	if err != nil {
		return nil, err
	}
	return &bucket{client: client, endpoint: endpoint, name: at.Host,
		prefix: strings.Trim(at.Path, "/"), region: text("AWS_REGION", "us-east-1"),
		key: os.Getenv("AWS_ACCESS_KEY_ID"), secret: os.Getenv("AWS_SECRET_ACCESS_KEY")}, nil
}

func (w *worker) transferLoop() {
	buffer := make([]byte, 256<<10)
	for t := range w.transfers {
		videos := make([]eventVideo, 0, len(t.urls))
		for i, from := range t.urls {
			video, err := w.transfer(t, i, from, buffer)
			if err != nil {
				log.Printf("%s: %v", t.name, err)
				break
			}
			videos = append(videos, video)
		}
		if len(videos) < len(t.urls) {
			t.due = time.Now()
			w.wheel.again(t) // a fresh poll gives fresh URLs
			continue
		}
		w.running.Add(-1)
		w.complete(t, videos)
	}
}

func (w *worker) transfer(t *task, index int, from string, buffer []byte) (v eventVideo, err error) {
	reply, err := w.pull.Get(from)
	if err != nil {
		return v, err
	}
	defer reply.Body.Close()
	if reply.StatusCode != 200 || reply.ContentLength <= 0 {
		return v, fmt.Errorf("the video's host answers %d", reply.StatusCode)
	}
	key := w.key(t, index)
	body := &hashed{from: reply.Body, hash: sha256.New()}
	if err := w.sink.put(key, reply.ContentLength, body, buffer); err != nil {
		return v, err
	}
	if body.bytes != reply.ContentLength {
		return v, io.ErrUnexpectedEOF
	}
	return eventVideo{URI: w.sink.uri(key), Bytes: body.bytes,
		SHA256: hex.EncodeToString(body.hash.Sum(nil)), ContentType: "video/mp4"}, nil
}

func (w *worker) key(t *task, index int) string {
	day := time.UnixMilli(t.received).UTC()
	return strings.NewReplacer("{tenant}", t.tenant, "{yyyy}", day.Format("2006"), "{mm}", day.Format("01"),
		"{dd}", day.Format("02"), "{request_id}", t.name, "{index}", strconv.Itoa(index)).Replace(w.keyTemplate)
}

type hashed struct {
	from  io.Reader
	hash  hash.Hash
	bytes int64
}

func (h *hashed) Read(into []byte) (int, error) {
	n, err := h.from.Read(into)
	h.hash.Write(into[:n])
	h.bytes += int64(n)
	return n, err
}

// --- a directory -------------------------------------------------------------

type folder string

func (f folder) uri(key string) string { return "file://" + string(f) + "/" + key }

func (f folder) put(key string, length int64, from io.Reader, buffer []byte) (err error) {
	path := filepath.Join(string(f), key)
	if err := makeFolder(filepath.Dir(path)); err != nil {
		return err
	}
	file, err := os.OpenFile(path+".part", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	defer file.Close()
	for left := length; left > 0 && err == nil; {
		n, short := io.ReadFull(from, buffer[:min(left, int64(len(buffer)))])
		if short != nil {
			return short
		}
		_, err = file.Write(buffer[:n])
		left -= int64(n)
	}
	if err == nil {
		err = file.Sync()
	}
	if err == nil {
		err = os.Rename(path+".part", path)
	}
	if err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// The names of new folders are made durable in those that hold them.
func makeFolder(path string) error {
	err := os.Mkdir(path, 0o755)
	if os.IsNotExist(err) {
		if err = makeFolder(filepath.Dir(path)); err == nil {
			err = os.Mkdir(path, 0o755)
		}
	}
	if os.IsExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

func syncFolder(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	return file.Sync()
}

// --- S3 ----------------------------------------------------------------------

type bucket struct {
	client                            *http.Client
	endpoint                          *url.URL
	name, prefix, region, key, secret string
}

func (b *bucket) path(key string) string { return strings.TrimPrefix(b.prefix+"/"+key, "/") }

func (b *bucket) uri(key string) string { return "s3://" + b.name + "/" + b.path(key) }

// One PUT, signed (SigV4) over an unsigned payload.
func (b *bucket) put(key string, length int64, from io.Reader, _ []byte) error {
	at := *b.endpoint
	at.Path = "/" + b.name + "/" + b.path(key)
	put, err := http.NewRequest("PUT", at.String(), io.NopCloser(from))
	if err != nil {
		return err
	}
	put.ContentLength = length
	b.sign(put, time.Now().UTC())
	reply, err := b.client.Do(put)
	if err != nil {
		return err
	}
	defer reply.Body.Close()
	if _, err := io.Copy(io.Discard, reply.Body); err != nil || reply.StatusCode != 200 {
		return fmt.Errorf("S3 answers %d: %v", reply.StatusCode, err)
	}
	return nil
}

func (b *bucket) sign(put *http.Request, now time.Time) {
	mac := func(key []byte, text string) []byte {
		m := hmac.New(sha256.New, key)
		m.Write([]byte(text))
		return m.Sum(nil)
	}
	date, day := now.Format("20060102T150405Z"), now.Format("20060102")
	scope := day + "/" + b.region + "/s3/aws4_request"
	const signed, unsigned = "host;x-amz-content-sha256;x-amz-date", "UNSIGNED-PAYLOAD"
	canonical := "PUT\n" + put.URL.EscapedPath() + "\n\nhost:" + put.URL.Host + "\nx-amz-content-sha256:" +
		unsigned + "\nx-amz-date:" + date + "\n\n" + signed + "\n" + unsigned
	sum := sha256.Sum256([]byte(canonical))
	key := []byte("AWS4" + b.secret)
	for _, part := range []string{day, b.region, "s3", "aws4_request",
		"AWS4-HMAC-SHA256\n" + date + "\n" + scope + "\n" + hex.EncodeToString(sum[:])} {
		key = mac(key, part)
	}
	put.Header.Set("x-amz-date", date)
	put.Header.Set("x-amz-content-sha256", unsigned)
	put.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+b.key+"/"+scope+
		", SignedHeaders="+signed+", Signature="+hex.EncodeToString(key))
}
