package maintenance

import "io"

// ReadAnswer is the decoder of the files in which Multi keeps answers.
func ReadAnswer(r io.Reader, name string) ([]Window, error) {
	answer, err := readAnswer(r, name)
	if err != nil {
		return nil, err
	}
	return answer.Windows, nil
}
